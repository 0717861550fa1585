# kubectl-lb. Everything that CI runs is a target here; `make` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS := -s -w -X github.com/kubectl-lb/kubectl-lb/pkg/internal/version.release=$(VERSION)
# The same for builds, tests, vet and linters, or the Kubernetes libraries would be compiled once for each.
export CGO_ENABLED := 0
export GOFLAGS := $(GOFLAGS) -trimpath
BIN := $(CURDIR)/bin
LINT := $(BIN)/golangci-lint
# The packages without Kubernetes' libraries, which take minutes to compile for the race detector.
LIGHT = $$(go list -f '{{if not (or (eq .Name "main") (len .DepsErrors))}}{{.ImportPath}} {{join .Deps " "}}{{end}}' \
	./pkg/... | awk '!/ k8s\.io\// { print $$1 }')
# All others.
HEAVY = $$(comm -23 <(go list ./... | sort) <(printf '%s\n' $(LIGHT) | sort))
# The packages of the test module, two of which run at the same time: those with a lab wait more than they compute. Chaos
# judges a fleet by the clock under everything that may happen to it, so it has the machine to itself, afterwards.
LABS = $$(go list -C test ./... | grep -v -e '/test/chaos$$' -e '/test/octavia')
FUZZTIME ?= 10s
IMAGE_REPOSITORY ?= ghcr.io/kubectl-lb
IMAGE_TAG ?= $(VERSION)
# Builds etcd, kube-apiserver and the others where they are missing, and says where they are.
ASSETS = $$($(BIN)/assets)

##@ Use

.PHONY: help
help: ## Show this list.
	@awk 'BEGIN { FS = ":.*## " } \
	  /^##@/ { printf "\n%s\n", substr($$0, 5) } \
	  /^[a-z0-9-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: build
build: ## Build bin/kubectl-lb, bin/lb-controller, bin/lb-daemon and bin/lab.
	@mkdir -p $(BIN)
	go build -ldflags '$(LDFLAGS)' -o $(BIN)/ ./cmd/...
	go build -C test -ldflags '$(LDFLAGS)' -o $(BIN)/ ./...

.PHONY: deps
deps: ## Install nginx, keepalived and what else the tests need (Debian, root).
	@hack/deps.sh

.PHONY: assets
assets: build ## Build the control plane for the lab and the tests; cached outside the tree.
	@$(BIN)/assets

.PHONY: demo
demo: deps build ## Show the main job on a real cluster; KEEP=1 leaves it running.
	@KUBECTL_LB_BIN=$(BIN) $(BIN)/demo $(if $(KEEP),--keep)

##@ Check

.PHONY: test
test: deps build ## Run every test, with all that this needs (root).
	@assets="$(ASSETS)"; export KUBEBUILDER_ASSETS="$$assets" KUBECTL_LB_BIN="$(BIN)"; failed=; \
	run() { echo "== $$*"; "$$@" || failed="$$failed; $$*"; }; \
	run go test -timeout 20m $(HEAVY); \
	CGO_ENABLED=1 run go test -race -p 1 -timeout 20m $(LIGHT); \
	run hack/fuzz-l7.sh 30s plain; \
	run go test -C test -p 2 -count 1 -timeout 40m $(LABS); \
	run go test -C test -count 1 -timeout 40m ./chaos; \
	if [ -n "$$failed" ]; then echo "FAILED$$failed" >&2; exit 1; fi; echo "all tests passed"

.PHONY: test-unit
test-unit: ## Run the tests of the main module that need no control plane.
	KUBEBUILDER_ASSETS= go test ./...

.PHONY: test-race
test-race: deps build ## Run the tests of the main module under the race detector (compiles for minutes).
	assets="$(ASSETS)"; CGO_ENABLED=1 KUBEBUILDER_ASSETS="$$assets" go test -race -timeout 30m ./...

.PHONY: e2e
e2e: deps build ## Run the end-to-end tests in labs of their own, two at a time (root).
	assets="$(ASSETS)"; KUBECTL_LB_BIN=$(BIN) KUBEBUILDER_ASSETS="$$assets" \
	  go test -C test -p 2 -count 1 -timeout 40m -v ./e2e/...

.PHONY: deps-octavia
deps-octavia: ## Install Octavia, Keystone, Barbican and what they need from Debian's packages (1.2 GB, root).
	@hack/deps-octavia.sh

.PHONY: test-octavia
test-octavia: deps-octavia deps build ## Run the tests before a real Octavia, alone and beside a cluster (root).
	@assets="$(ASSETS)"; export KUBEBUILDER_ASSETS="$$assets" KUBECTL_LB_BIN="$(BIN)"; \
	go test -C test -p 2 -count 1 -parallel 12 -timeout 30m ./octavia/...

.PHONY: bench-octavia
bench-octavia: deps-octavia build ## Measure the Octavia backend before a real Octavia (root).
	@$(BIN)/bench-octavia

.PHONY: bench
bench: deps build ## Measure from a ConfigMap to an address and layer 7, and write docs/benchmarks.md (root).
	@KUBECTL_LB_BIN=$(BIN) $(BIN)/bench
	@$(MAKE) --no-print-directory bench-l7

.PHONY: bench-failover
bench-failover: deps build ## Measure failover; TRIALS=20 for fewer trials a row, ROWS=lost,drain, PROFILE=default (root).
	@KUBECTL_LB_BIN=$(BIN) $(BIN)/bench-failover $(if $(TRIALS),-trials $(TRIALS)) $(if $(ROWS),-rows $(ROWS)) \
	  $(if $(PROFILE),-profile $(PROFILE))

.PHONY: bench-l7
bench-l7: deps build ## Measure layer 7; ONLY=throughput,handshakes,changes,rotation,rollout,scale for some (root, wrk).
	@command -v wrk >/dev/null || apt-get install -y -qq --no-install-recommends wrk >/dev/null
	@KUBECTL_LB_BIN=$(BIN) $(BIN)/bench-l7 $(if $(ONLY),-only $(ONLY))

.PHONY: chaos
chaos: deps build ## Break a fleet at random and judge it; DURATION=10m SEED=1 SLACK=1 (root).
	@mkdir -p dist; KUBECTL_LB_BIN=$(BIN) $(BIN)/chaos -keep dist $(if $(DURATION),-duration $(DURATION)) \
	  $(if $(SEED),-seed $(SEED)) $(if $(SLACK),-slack $(SLACK))

.PHONY: fuzz
fuzz: ## Run every fuzz test for FUZZTIME each.
	hack/fuzz.sh $(FUZZTIME)

.PHONY: fuzz-l7
fuzz-l7: ## Feed arbitrary objects to source, plan, renderer and nginx -t for FUZZTIME, such as 1h (root).
	hack/fuzz-l7.sh $(FUZZTIME)

.PHONY: test-nginx-next
test-nginx-next: deps ## Test what is rendered against the newest nginx of Debian, beside the oldest supported (root).
	hack/nginx-next.sh $(SUITE)

.PHONY: lint
lint: $(LINT) ## Run golangci-lint, go vet and gofmt over both modules.
	@unformatted=$$(gofmt -l cmd pkg test); \
	if [ -n "$$unformatted" ]; then echo "not formatted (make fmt):"; echo "$$unformatted"; exit 1; fi
	go vet ./...
	go vet -C test ./...
	$(LINT) run ./...
	cd test && $(LINT) run --config ../.golangci.yml ./...

.PHONY: verify
verify: lint ## Lint, and check that generated files and go.mod are current.
	go mod tidy -diff
	go mod tidy -C test -diff
	go mod verify
	@before=$$(git status --porcelain); $(MAKE) --no-print-directory generate; \
	after=$$(git status --porcelain); \
	if [ "$$before" != "$$after" ]; then echo "generated files were not current:"; echo "$$after"; exit 1; fi

##@ Change

.PHONY: fmt
fmt: $(LINT) ## Format the code, and mend what the linters can mend.
	$(LINT) run --fix ./... || true
	cd test && $(LINT) run --fix --config ../.golangci.yml ./... || true

.PHONY: generate
generate: ## Write what is generated from code.
	go generate ./...

##@ Release

.PHONY: images
images: ## Build both images with docker, podman or buildah.
	@tool=$$(for t in docker podman buildah; do command -v $$t && break; done) || \
	  { echo "error: neither docker nor podman nor buildah is installed" >&2; exit 1; }; \
	for name in controller daemon; do \
	  $$tool build -f deploy/docker/Dockerfile.$$name --build-arg VERSION=$(VERSION) \
	    -t $(IMAGE_REPOSITORY)/lb-$$name:$(IMAGE_TAG) .; \
	done

.PHONY: krew
krew: ## Build the plugin's archives and krew/lb.yaml.
	hack/krew.sh

.PHONY: clean
clean: ## Remove what was built (not the control plane's cache).
	rm -rf $(BIN) dist

# The tools are a module of their own, built from source.
$(LINT): hack/tools/go.mod hack/tools/go.sum
	@mkdir -p $(BIN)
	go build -C hack/tools -o $@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint
