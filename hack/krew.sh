#!/usr/bin/env bash
# Builds the plugin's archives for every platform and writes krew/lb.yaml, the manifest that krew installs them by.
#
#   hack/krew.sh                build all archives from HEAD into dist/ and write krew/lb.yaml
#   hack/krew.sh --verify       rebuild this machine's archive from the commit that krew/lb.yaml names, and compare it;
#                               with another Go release, or without that commit, there is nothing to compare
#
# The archives hold what is committed, not what lies in the work tree, and the same commit and Go release give the same
# bytes anywhere: no paths, no build IDs, no times but the commit's. VERSION sets the version; the default is HEAD's
# tag, else the one in krew/lb.yaml. A release runs this on its tag and uploads dist/.
set -euo pipefail
cd "$(dirname "$0")/.."

platforms=(darwin/amd64 darwin/arm64 linux/amd64 linux/arm64 windows/amd64 windows/arm64)
manifest=krew/lb.yaml
module=github.com/kubectl-lb/kubectl-lb
download=https://github.com/kubectl-lb/kubectl-lb/releases/download

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

field() { sed -n "s/^$1 *//p" "$manifest" 2>/dev/null | head -1; }

# build PLATFORM VERSION SOURCE EPOCH OUT: builds one archive.
build() {
  local os=${1%/*} arch=${1#*/} version=$2 source=$3 epoch=$4 out=$5
  local bin stage
  bin=$(binary "$os")
  stage=$(mktemp -d -p "$work")
  (cd "$source" && CGO_ENABLED=0 GOOS=$os GOARCH=$arch GOWORK=off GOFLAGS= go build -trimpath -buildvcs=false \
    -ldflags "-s -w -buildid= -X $module/pkg/internal/version.release=$version" -o "$stage/$bin" ./cmd/kubectl-lb)
  cp "$source/LICENSE" "$stage/LICENSE"
  chmod 755 "$stage/$bin"
  chmod 644 "$stage/LICENSE"
  tar --sort=name --format=ustar --owner=0 --group=0 --numeric-owner --mtime="@$epoch" -C "$stage" -c "$bin" LICENSE |
    gzip -9n >"$out"
}

# checkout COMMIT: unpacks a commit into a directory of its own and prints its path.
checkout() {
  local dir
  dir=$(mktemp -d -p "$work")
  git archive "$1" -- cmd pkg go.mod go.sum LICENSE | tar -x -C "$dir"
  echo "$dir"
}

binary() { if [[ $1 == windows ]]; then echo kubectl-lb.exe; else echo kubectl-lb; fi; }
archive() { echo "kubectl-lb_$1_${2/\//_}.tar.gz"; }
sum() { sha256sum "$1" | cut -d' ' -f1; }

verify() {
  local commit go version platform source out want have
  commit=$(field '# Commit:')
  go=$(field '# Go:')
  version=$(field '  version:')
  platform=$(go env GOHOSTOS)/$(go env GOHOSTARCH)
  if [[ $(go env GOVERSION) != "$go" ]]; then
    echo "not compared: $manifest was built with $go, this is $(go env GOVERSION)"
    return
  fi
  if ! git cat-file -e "$commit^{commit}" 2>/dev/null; then
    echo "not compared: this clone does not have commit $commit"
    return
  fi
  source=$(checkout "$commit")
  out=$(mktemp -d -p "$work")
  build "$platform" "$version" "$source" "$(git show -s --format=%ct "$commit")" "$out/archive.tar.gz"
  have=$(sum "$out/archive.tar.gz")
  want=$(grep -A1 "/$(archive "$version" "$platform")\$" "$manifest" | sed -n 's/^ *sha256: //p')
  if [[ $have != "$want" ]]; then
    echo "error: $(archive "$version" "$platform") of $commit is $have, $manifest says $want" >&2
    exit 1
  fi
  echo "$(archive "$version" "$platform") of ${commit:0:12} is what $manifest says"
}

main() {
  local commit version source epoch entries="" platform file
  commit=$(git rev-parse HEAD)
  version=${VERSION:-$(git describe --tags --exact-match 2>/dev/null || field '  version:' || true)}
  version=${version:-v0.1.0}
  epoch=$(git show -s --format=%ct "$commit")
  source=$(checkout "$commit")
  mkdir -p dist
  for platform in "${platforms[@]}"; do
    file=$(archive "$version" "$platform")
    build "$platform" "$version" "$source" "$epoch" "dist/$file"
    echo "dist/$file"
    entries+="    - selector:
        matchLabels:
          os: ${platform%/*}
          arch: ${platform#*/}
      uri: $download/$version/$file
      sha256: $(sum "dist/$file")
      bin: $(binary "${platform%/*}")
"
  done
  {
    echo "# Written by hack/krew.sh (make krew); changes are lost. The hashes are those of the archives built from"
    echo "# Commit: $commit"
    echo "# Go: $(go env GOVERSION)"
    cat krew/lb.yaml.head
    echo "  version: $version"
    echo "  platforms:"
    printf '%s' "$entries"
  } >"$manifest.new"
  mv "$manifest.new" "$manifest"
  echo "$manifest"
}

case ${1:-} in
  --verify) verify ;;
  "") main ;;
  *)
    echo "usage: hack/krew.sh [--verify]" >&2
    exit 2
    ;;
esac
