#!/usr/bin/env bash
# Feeds arbitrary objects through source, plan and renderer to the real nginx -t (FuzzPipeline of pkg/cli) and says for
# how long, how many, and what was found: hack/fuzz-l7.sh 1h. What is found is a file in pkg/cli/testdata/fuzz, which
# go test tries again ever after. With "plain" behind the time inputs are not guided by coverage, and nothing is
# compiled that go test has not compiled before.
set -euo pipefail
cd "$(dirname "$0")/.."
time=${1:-30s}
[ "$(id -u)" = 0 ] || { echo "error: nginx runs in namespaces, which need root" >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
guided=(-fuzz '^FuzzPipeline$')
corpus=${XDG_CACHE_HOME:-$HOME/.cache}/kubectl-lb/fuzz-l7
if [ "${2:-}" = plain ]; then
  guided=()
  corpus=$work/corpus
fi
go test -c "${guided[@]}" -o "$work/pipeline.test" ./pkg/cli
mkdir -p "$corpus"
: > "$work/count"

# One sandbox for the whole run: an interface where every address can be bound, and a /run in memory, for temporary
# files too.
sandbox='
mount -t tmpfs tmpfs /run
mkdir /run/kubectl-lb /run/tmp
ip link set lo up
ip link add eth0 type veth peer name peer0
ip link set eth0 up
ip link set peer0 up
echo 1 > /proc/sys/net/ipv4/ip_nonlocal_bind
echo 1 > /proc/sys/net/ipv6/ip_nonlocal_bind
export TMPDIR=/run/tmp RENDERTEST_IN_SANDBOX=1
cd pkg/cli
exec "$@"
'
begun=$SECONDS
status=0
FUZZ_L7_COUNT="$work/count" unshare --net --mount --propagation private bash -euc "$sandbox" bash \
  "$work/pipeline.test" -test.run '^$' -test.fuzz '^FuzzPipeline$' -test.fuzztime "$time" \
  -test.fuzzcachedir "$corpus" 2>&1 | tee "$work/log" || status=$?
executions=$(grep -oE 'execs: [0-9]+' "$work/log" | tail -n 1 | cut -d' ' -f2 || true)
nginx=$(wc -c < "$work/count")
findings=0
if [ "$status" != 0 ]; then
  findings=1
  # The end of the time is no finding, though go's fuzzer says so of an input that it comes in the midst of.
  if grep -q 'context deadline exceeded' "$work/log" && ! grep -q 'Failing input' "$work/log"; then
    status=0 findings=0
  fi
fi
echo "fuzz-l7: $((SECONDS - begun)) s, ${executions:-0} executions, $nginx of them read by nginx, $findings findings"
exit "$status"
