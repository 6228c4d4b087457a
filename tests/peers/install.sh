#!/usr/bin/env bash
# Installs the libraries that check us as others would (receivers, token servers): Python's into
# target/peers/venv, Node's into target/peers/node. Does nothing, and needs no network, when what is
# there was made from the same pins. LOCKSTEP_PEERS names another folder.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
peers=${LOCKSTEP_PEERS:-$here/../../target/peers}
mkdir -p "$peers/node"
peers=$(cd "$peers" && pwd)

# Tests run side by side: whoever comes second waits, and finds all of it there.
exec 9>"$peers/.lock"
flock 9

# One installation per kind, with the pins it was made from beside it; the copy is written last, so
# an interrupted one is made again.
fresh() { cmp -s "$1" "$2/.made-from"; }

if ! fresh "$here/requirements.txt" "$peers/venv" || ! "$peers/venv/bin/python" -c 'import standardwebhooks, cloudevents, authlib, flask, schemathesis' 2>/dev/null; then
  rm -rf "$peers/venv"
  python3 -m venv "$peers/venv"
  "$peers/venv/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$here/requirements.txt"
  cp "$here/requirements.txt" "$peers/venv/.made-from"
fi

if ! fresh "$here/package.json" "$peers/node" || [ ! -d "$peers/node/node_modules/standardwebhooks" ] || [ ! -d "$peers/node/node_modules/cloudevents" ] || [ ! -d "$peers/node/node_modules/oidc-provider" ]; then
  rm -rf "$peers/node"
  mkdir -p "$peers/node"
  cp "$here/package.json" "$peers/node/package.json"
  npm install --prefix "$peers/node" --silent --no-audit --no-fund --no-package-lock --no-update-notifier --ignore-scripts
  cp "$here/package.json" "$peers/node/.made-from"
fi
