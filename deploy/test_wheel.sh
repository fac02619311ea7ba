#!/bin/sh
# The wheel, in an empty environment outside the checkout, runs the demo.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
wheel=$(ls -t "$root"/dist/runstream-*.whl | head -n 1)
empty=$(mktemp -d)
trap 'rm -rf "$empty"' EXIT
"$root/.venv/bin/python" -m venv "$empty/env"
"$root/.venv/bin/uv" pip install --quiet --python "$empty/env/bin/python" --require-hashes -r "$root/requirements/demo.txt"
"$root/.venv/bin/uv" pip install --quiet --python "$empty/env/bin/python" --no-deps "$wheel"
cd "$empty"
DEMO_EXIT=1 "$empty/env/bin/python" -m runstream_deploy.demo
"$empty/env/bin/runstream" --version
