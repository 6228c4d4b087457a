#!/usr/bin/env bash
# Installs airbyte-cdk, the other runtime of the manifests here, into target/peers/airbyte. It has a folder of its
# own: its pins and those of tests/peers do not agree. Does nothing, and needs no network, when what is there was made
# from the same pins. LOCKSTEP_PEERS names another folder.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
peers=${LOCKSTEP_PEERS:-$here/../../target/peers}
mkdir -p "$peers"
venv=$(cd "$peers" && pwd)/airbyte

# Tests run side by side: whoever comes second waits, and finds all of it there.
exec 9>"$peers/.airbyte-lock"
flock 9

if ! cmp -s "$here/requirements.txt" "$venv/.made-from" || ! "$venv/bin/python" -c 'import authlib, joserfc, oauthlib' 2>/dev/null; then
  rm -rf "$venv"
  # The CDK wants Python 3.10 to 3.13.
  for python in python3.13 python3.12 python3.11 python3.10 python3; do
    "$python" -c 'import ensurepip' 2>/dev/null && break
  done
  "$python" -m venv "$venv"
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$here/requirements.txt"
  cp "$here/requirements.txt" "$venv/.made-from"
fi
