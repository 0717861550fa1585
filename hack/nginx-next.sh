#!/usr/bin/env bash
# Runs the tests of what is rendered for nginx against the newest nginx of Debian (sid), beside the installed one, which
# is the oldest that is supported. The newer one comes with the libraries that it needs, by apt, into a cache of its own;
# nothing is installed, and it takes the installed one's place only for the test. Root, Debian.
set -euo pipefail
cd "$(dirname "$0")/.."
[ "$(id -u)" = 0 ] || { echo "error: nginx runs in namespaces, which need root" >&2; exit 1; }
suite=${1:-sid}
cache=${XDG_CACHE_HOME:-$HOME/.cache}/kubectl-lb/nginx-$suite
work=$(mktemp -d /tmp/nginx-next-XXXXXX)
trap 'rm -rf "$work"' EXIT
mkdir -p "$cache/lists/partial" "$cache/archives/partial" "$work/sources" "$work/root"
touch "$work/status"
cat > "$work/sources/debian.sources" <<END
Types: deb
URIs: http://deb.debian.org/debian
Suites: $suite
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
END
cat > "$work/apt.conf" <<END
Dir::Etc::SourceList "/dev/null";
Dir::Etc::SourceParts "$work/sources";
Dir::State::Lists "$cache/lists";
Dir::State::status "$work/status";
Dir::Cache "$cache";
Acquire::Languages "none";
END
export APT_CONFIG=$work/apt.conf
apt-get -qq update
(cd "$work" && apt-get -qq download nginx libnginx-mod-stream libc6 libcrypt1 libpcre2-8-0 libssl3t64 libzstd1 zlib1g)
for deb in "$work"/*.deb; do dpkg-deb -x "$deb" "$work/root"; done
unset APT_CONFIG

# Its workers are another user's processes, so they must be able to read it.
chmod 755 "$work"
cat > "$work/nginx" <<END
#!/bin/sh
exec $work/root/usr/lib64/ld-linux-x86-64.so.2 --library-path $work/root/usr/lib/x86_64-linux-gnu \
$work/root/usr/sbin/nginx "\$@"
END
chmod 755 "$work/nginx"
go test -c -o "$work/nginx.test" ./pkg/render/nginx
binary=$(readlink -f "$(command -v nginx)")
cd pkg/render/nginx
unshare --mount --propagation private sh -euc '
mount --bind "$1/nginx" "$2"
mount --bind "$1/root/usr/lib/nginx/modules" /usr/lib/nginx/modules
nginx -v
exec "$1/nginx.test" -test.run Test
' sh "$work" "$binary"
