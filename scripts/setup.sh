#!/usr/bin/env bash
# Make a virtual environment in .venv with Watchline and the named extra. Usage: scripts/setup.sh demo|test
set -euo pipefail
cd "$(dirname "$0")/.."
extra=$1
python=""
for candidate in python3 python3.14 python3.13 python3.12 python3.11; do
    if command -v "$candidate" >/dev/null && "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        python=$candidate
        break
    fi
done
if [ -z "$python" ]; then
    echo "Watchline needs Python 3.11 or newer, and none was found: install it, such as  apt-get install python3 python3-venv" >&2
    exit 2
fi
if [ ! -x .venv/bin/pip ]; then
    if ! "$python" -m venv .venv 2>/dev/null; then
        if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
            apt-get update -qq && apt-get install -y -qq --no-install-recommends python3-venv >/dev/null
            "$python" -m venv .venv
        else
            echo "Python's venv module is missing: run  sudo apt-get install python3-venv  and try again" >&2
            exit 2
        fi
    fi
fi
.venv/bin/pip install --quiet --disable-pip-version-check --editable ".[$extra]"
