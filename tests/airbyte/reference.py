#!/usr/bin/env python3
"""airbyte-cdk as the other runtime: runs jobs, each in a fork of its own so that the import is paid for once.

usage: reference.py [AT_ONCE] < JOBS     (run it with target/peers/airbyte/bin/python)

A job is a line of JSON: {"id", "dir", "command": "spec" | "check" | "discover" | "read" | "components", and paths
"config", "catalog", "state"; "seconds" (120) before it is ended; "offline" refuses every connection}.
Each gives a line of JSON when it is done: {"id", "lines": what it printed, "error": null or why it ended early}.
`components` prints no protocol: one line, the pairs [component, field] of the manifest as the CDK fills in its types.
"""
import json
import logging
import os
import pkgutil
import signal
import socket
import sys
import tempfile
import time
import traceback
import types
from pathlib import Path

import yaml
from airbyte_cdk.entrypoint import AirbyteEntrypoint
from airbyte_cdk.sources.declarative.async_job.job_orchestrator import AsyncJobOrchestrator
from airbyte_cdk.sources.declarative.concurrent_declarative_source import ConcurrentDeclarativeSource
from airbyte_cdk.sources.declarative.parsers.manifest_component_transformer import ManifestComponentTransformer
from airbyte_cdk.sources.declarative.parsers.manifest_reference_resolver import ManifestReferenceResolver

SECONDS = 120


def packaged(folder, needs_spec):
    """A connector is a Python package to the CDK; here it is a folder, whatever the package is called. A specification
    that its package had, and the folder has not, lets everything in."""
    of_packages = pkgutil.get_data

    def find(package, resource):
        if package.split(".")[0] == "airbyte_cdk" and not resource.startswith("spec."):
            return of_packages(package, resource)
        for path in (folder / package / resource, folder / resource):
            if path.is_file():
                return path.read_bytes()
        return None if needs_spec or resource != "spec.yaml" else b"connectionSpecification: {type: object}"

    return find


def refuse(*_):
    raise ConnectionRefusedError("this run has no network")


def components(manifest):
    """The pairs of component and field that a manifest uses; a map without a type is named by the field it is in."""
    manifest.setdefault("type", "DeclarativeSource")
    resolved = ManifestReferenceResolver().preprocess_manifest(manifest)
    filled = ManifestComponentTransformer().propagate_types_and_parameters("", resolved, {})
    pairs = set()

    def walk(value, field):
        if isinstance(value, list):
            for item in value:
                walk(item, field)
        if isinstance(value, dict):
            kind = value.get("type")
            kind = kind if isinstance(kind, str) and kind[:1].isupper() else field
            for name, inner in value.items():
                pairs.add((kind, name))
                if name in ("definitions", "schemas", "connection_specification"):
                    continue
                walk(inner, name)
            pairs.add((kind, ""))

    walk({name: value for name, value in filled.items() if name != "definitions"}, "")
    return sorted(pairs)


def run(job):
    folder = Path(job["dir"])
    pkgutil.get_data = packaged(folder, not job.get("offline"))
    # Between two looks at a job it waits five seconds, whatever the manifest says.
    AsyncJobOrchestrator._WAIT_TIME_BETWEEN_STATUS_UPDATE_IN_SECONDS = 0.2
    if job.get("offline"):
        socket.socket.connect = refuse
        socket.getaddrinfo = refuse
    if (folder / "schemas").is_dir():
        # References inside a schema are looked up beside the package's own file.
        sys.modules["schemas"] = types.ModuleType("schemas")
        sys.modules["schemas"].__file__ = str(folder / "schemas" / "__init__.py")
    manifest = yaml.safe_load((folder / "manifest.yaml").read_text())
    if job["command"] == "components":
        print(json.dumps(components(manifest)))
        return
    arguments = [job["command"]]
    for name in ("config", "catalog", "state"):
        if job.get(name) and job["command"] != "spec":
            arguments += [f"--{name}", job[name]]
    read = ConcurrentDeclarativeSource
    source = read(
        catalog=read.read_catalog(job["catalog"]) if job.get("catalog") else None,
        config=read.read_config(job["config"]) if job.get("config") else None,
        state=read.read_state(job["state"]) if job.get("state") else None,
        source_config=manifest,
    )
    entry = AirbyteEntrypoint(source)
    for line in entry.run(entry.parse_args(arguments)):
        print(line, flush=True)


def fork(job):
    """Begins a job; its output goes to a file."""
    out = tempfile.TemporaryFile("w+")
    child = os.fork()
    if child:
        return child, job, out, time.monotonic() + job.get("seconds", SECONDS)
    os.dup2(out.fileno(), 1)
    sys.stdout = os.fdopen(1, "w")
    code = 0
    try:
        run(job)
    except BaseException as error:
        # Whatever stops the CDK is what this job came to.
        code = 1
        print(json.dumps({"type": "END", "error": f"{type(error).__name__}: {error}", "trace": traceback.format_exc()[-2_000:]}))
    sys.stdout.flush()
    os._exit(code)


def tell(job, out, error):
    out.seek(0)
    lines = [line.rstrip("\n") for line in out if line.strip()]
    if lines and lines[-1].startswith('{"type": "END"'):
        error = json.loads(lines.pop())
        print(error["trace"], file=sys.stderr)
        error = error["error"]
    print(json.dumps({"id": job["id"], "lines": lines, "error": error}), flush=True)


def main():
    at_once = int(sys.argv[1]) if len(sys.argv) > 1 else 4
    logging.getLogger("airbyte").setLevel(logging.WARNING)
    jobs = [json.loads(line) for line in sys.stdin if line.strip()][::-1]
    running = []
    while jobs or running:
        while jobs and len(running) < at_once:
            running.append(fork(jobs.pop()))
        time.sleep(0.01)
        for one in list(running):
            child, job, out, until = one
            done, status = os.waitpid(child, os.WNOHANG)
            is_late = not done and time.monotonic() > until
            if is_late:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
            if done or is_late:
                running.remove(one)
                late = f"not done within {job.get('seconds', SECONDS)} s"
                tell(job, out, late if is_late else f"ended with {status}" if status else None)


if __name__ == "__main__":
    main()
