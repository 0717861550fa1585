#!/usr/bin/env bash
# Installs what the demo and the tests need beside Go: nginx, keepalived and a few network tools. Does nothing when all
# of it is there. Needs Debian (or a child of it) and root; elsewhere it names what is missing.
set -euo pipefail

stream_module() { [[ -e /usr/lib/nginx/modules/ngx_stream_module.so ]] || nginx -V 2>&1 | grep -q -- '--with-stream '; }

missing=()
need() { # PACKAGE COMMAND…: the package is missing where the command fails
  local package=$1
  shift
  "$@" >/dev/null 2>&1 || missing+=("$package")
}
PATH=$PATH:/usr/sbin:/sbin
need nginx-light command -v nginx
need libnginx-mod-stream stream_module
need keepalived command -v keepalived
need nftables command -v nft
need conntrack command -v conntrack
need iproute2 command -v ip
need curl command -v curl
need ca-certificates test -s /etc/ssl/certs/ca-certificates.crt
need git command -v git
# The race detector is written in C.
need gcc command -v gcc
need libc6-dev test -e /usr/include/stdlib.h

if ((${#missing[@]} == 0)); then
  exit 0
fi
if ! command -v apt-get >/dev/null; then
  echo "error: missing: ${missing[*]} (the names are Debian's); install them with your package manager" >&2
  exit 1
fi
if ((EUID != 0)); then
  echo "error: missing: ${missing[*]}; run as root: apt-get install ${missing[*]}" >&2
  exit 1
fi

# The packages start and enable their services, which nobody here wants: policy-rc.d (Debian policy, invoke-rc.d(8))
# forbids the start, and services that came with this very run are disabled.
policy=/usr/sbin/policy-rc.d
if [[ ! -e $policy ]]; then
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
  trap 'rm -f "$policy"' EXIT
fi
echo "installing: ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
if [[ -d /run/systemd/system ]]; then
  for package in "${missing[@]}"; do
    case $package in
      nginx-light) systemctl disable --now nginx.service >/dev/null 2>&1 || true ;;
      keepalived | nftables) systemctl disable --now "$package.service" >/dev/null 2>&1 || true ;;
    esac
  done
fi
