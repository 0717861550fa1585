module github.com/kubectl-lb/kubectl-lb

go 1.26.0
