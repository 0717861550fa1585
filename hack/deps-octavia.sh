#!/usr/bin/env bash
# Installs what test/octavia runs: Octavia, Keystone, Barbican, MariaDB, RabbitMQ and uWSGI from Debian's packages (about 1.2 GB).
# Does nothing when all of it is there. Needs Debian 12 and root; elsewhere it names what is missing.
set -euo pipefail

packages=(python3-octavia python3-keystone python3-barbican python3-pymysql mariadb-server rabbitmq-server uwsgi-core
  uwsgi-plugin-python3 openssl iproute2)
missing=()
for package in "${packages[@]}"; do
  [[ $(dpkg-query -W -f='${Status}' "$package" 2>/dev/null) == 'install ok installed' ]] || missing+=("$package")
done
if ((${#missing[@]} == 0)); then
  exit 0
fi
if ! command -v apt-get >/dev/null; then
  echo "error: missing: ${missing[*]} (the names are Debian 12's)" >&2
  exit 1
fi
if ((EUID != 0)); then
  echo "error: missing: ${missing[*]}; run as root: apt-get install --no-install-recommends ${missing[*]}" >&2
  exit 1
fi

# The packages start their daemons, which would listen on every address: policy-rc.d (Debian policy, invoke-rc.d(8))
# forbids the start, and what came with this very run is disabled.
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
  for unit in mariadb.service rabbitmq-server.service epmd.service epmd.socket; do
    systemctl disable --now "$unit" >/dev/null 2>&1 || true
  done
fi
