#!/usr/bin/env bash
# Install what the tests need (servers by apt where we may, Python packages into .venv) and run them all.
set -euo pipefail
cd "$(dirname "$0")/.."
packages=(mosquitto mosquitto-clients influxdb nginx-light mbpoll chromium fonts-noto-cjk strace prometheus-alertmanager)
commands=(mosquitto mosquitto_pub influxd nginx mbpoll chromium strace prometheus-alertmanager)
missing=()
PATH="$PATH:/usr/sbin"
for command in "${commands[@]}"; do command -v "$command" >/dev/null || missing+=("$command"); done
if [ ${#missing[@]} -gt 0 ]; then
    line="apt-get install -y --no-install-recommends ${packages[*]}"
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        echo "installing ${missing[*]} by apt"
        apt-get update -qq && DEBIAN_FRONTEND=noninteractive $line -qq >/dev/null
    else
        echo "The tests need ${missing[*]}: run  sudo $line  and try again" >&2
        exit 2
    fi
fi
scripts/setup.sh test
.venv/bin/ruff check .
.venv/bin/ruff format --check .
.venv/bin/mypy
exec .venv/bin/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder "$@"
