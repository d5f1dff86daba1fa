#!/usr/bin/env bash
# Install what the demo needs into .venv and run it; further words go to `watchline demo`.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/setup.sh demo
exec .venv/bin/watchline demo "$@"
