#!/usr/bin/env bash
# Checks deploy/ and examples/ against a real API server of its own on 127.0.0.1: every object must pass a strict
# server-side dry run, and the service accounts must be able to do what they need and no more.
#
#     KUBEBUILDER_ASSETS=DIR hack/check-manifests.sh      (DIR holds etcd, kube-apiserver and kubectl)
set -euo pipefail
cd "$(dirname "$0")/.."
: "${KUBEBUILDER_ASSETS:?names no folder with etcd, kube-apiserver and kubectl; make sets it}"

tmp=$(mktemp -d)
pids=()
cleanup() {
  # SIGKILL: without etcd an API server takes minutes to end, and what these two know is thrown away anyway.
  for pid in "${pids[@]}"; do kill -KILL "$pid" 2>/dev/null && wait "$pid" 2>/dev/null || true; done
  rm -rf "$tmp"
}
trap cleanup EXIT

free_port() {
  local port
  while port=$((20000 + RANDOM % 10000)); do
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
  done
}

# wait_for SECONDS WHAT COMMAND… polls until the command succeeds.
wait_for() {
  local deadline=$((SECONDS + $1)) what=$2
  shift 2
  until "$@" >/dev/null 2>&1; do
    if ((SECONDS >= deadline)); then
      echo "error: $what is not ready; its log ends:" >&2
      tail -n 20 "$tmp"/*.log >&2
      exit 1
    fi
    read -rt 0.1 <> <(:) || true
  done
}

client=$(free_port) peer=$(free_port) api=$(free_port)
"$KUBEBUILDER_ASSETS/etcd" --data-dir "$tmp/etcd" --unsafe-no-fsync --log-level warn \
  --listen-client-urls "http://127.0.0.1:$client" --advertise-client-urls "http://127.0.0.1:$client" \
  --listen-peer-urls "http://127.0.0.1:$peer" >"$tmp/etcd.log" 2>&1 &
pids+=($!)
wait_for 30 etcd curl -fs "http://127.0.0.1:$client/health"

openssl genrsa -out "$tmp/sa.key" 2048 2>/dev/null
echo 'check,admin,admin,system:masters' >"$tmp/tokens"
"$KUBEBUILDER_ASSETS/kube-apiserver" --etcd-servers "http://127.0.0.1:$client" --cert-dir "$tmp/certs" \
  --bind-address 127.0.0.1 --secure-port "$api" --service-cluster-ip-range 10.96.0.0/16 --allow-privileged \
  --service-account-issuer https://check.invalid --service-account-key-file "$tmp/sa.key" \
  --service-account-signing-key-file "$tmp/sa.key" --authorization-mode RBAC --token-auth-file "$tmp/tokens" \
  --disable-admission-plugins ServiceAccount >"$tmp/apiserver.log" 2>&1 &
pids+=($!)
kubectl() {
  "$KUBEBUILDER_ASSETS/kubectl" --kubeconfig /dev/null --server "https://127.0.0.1:$api" --token check \
    --insecure-skip-tls-verify --cache-dir "$tmp/cache" "$@"
}
wait_for 60 kube-apiserver kubectl get --raw /readyz
wait_for 30 "namespace default" kubectl get namespace default

echo "== strict server-side dry run"
kubectl apply --validate=strict -f deploy/00-namespace.yaml
kubectl apply --dry-run=server --validate=strict -f deploy/
for f in examples/*.yaml; do kubectl apply --dry-run=server --validate=strict -f "$f"; done

echo "== leave of the service accounts"
kubectl apply --validate=strict -f deploy/ >/dev/null
faults=0
# may WANTED ACCOUNT VERB RESOURCE [FLAG…]
may() {
  local want=$1 account=$2 got
  shift 2
  got=$(kubectl auth can-i --as "system:serviceaccount:kubectl-lb-system:$account" "$@" 2>/dev/null || true)
  if [[ $got == "$want" ]]; then return; fi
  echo "error: may $account $*? got $got, want $want" >&2
  faults=$((faults + 1))
}
sys=(-n kubectl-lb-system) other=(-n default)
for verb in get list watch patch; do may yes lb-controller $verb configmaps "${other[@]}"; done
for verb in create update delete; do
  may yes lb-controller $verb configmaps "${sys[@]}"
  may no lb-controller $verb configmaps "${other[@]}"
done
for verb in list watch; do
  for kind in services nodes; do may yes lb-controller $verb $kind --all-namespaces; done
done
for verb in create patch; do
  may yes lb-controller $verb events.events.k8s.io "${other[@]}"
  may yes lb-controller $verb events "${sys[@]}"
  may no lb-controller $verb events "${other[@]}"
done
for verb in get create update; do may yes lb-controller $verb leases.coordination.k8s.io "${sys[@]}"; done
may no lb-controller update leases.coordination.k8s.io "${other[@]}"
may yes lb-controller get namespaces/kube-system
may no lb-controller get namespaces/default
for verb in list watch create patch; do
  may yes lb-daemon $verb configmaps "${sys[@]}"
  may no lb-daemon $verb configmaps "${other[@]}"
done
for account in lb-controller lb-daemon; do
  may no $account get secrets "${sys[@]}"
  may no $account get secrets "${other[@]}"
  may no $account create pods "${sys[@]}"
  may no $account get services "${other[@]}"
  may no $account patch services "${other[@]}"
  may no $account patch nodes --all-namespaces
done
may no lb-daemon list services --all-namespaces
may no lb-daemon list nodes --all-namespaces
((faults == 0)) || exit 1
echo "deploy/ and examples/ are in order"
