#!/bin/sh
# Makes .venv beside this file with raysynth and everything it needs, at the versions that were tested.
# --dev adds what the tests need. About 6 GB: torch from the index is the CUDA build, which runs on CPUs too.
set -eu
cd "$(dirname "$0")"
python=${PYTHON:-python3}
extra=""
[ "${1:-}" = "--dev" ] && extra="[dev]"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "setup.sh: $("$python" --version) is too old; want 3.11 or newer: PYTHON=python3.12 ./setup.sh" >&2
    exit 2
}
[ -x .venv/bin/python ] || "$python" -m venv .venv
.venv/bin/python -m pip install --quiet --disable-pip-version-check uv
# Compiled once here, or every Ray process compiles torch, ray and pandas again, which doubles each start.
echo "installing into .venv (about 6 GB, most of it torch)"
UV_COMPILE_BYTECODE=1 .venv/bin/uv pip install --python .venv/bin/python \
    --constraint constraints.txt --editable ".$extra"
echo "ready: .venv/bin/raysynth"
