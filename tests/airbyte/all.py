#!/usr/bin/env python3
"""Holds our reading of a folder of manifests to airbyte-cdk's: the same spec, the same streams.

usage: all.py BINARY DIR     (run it with target/peers/airbyte/bin/python)

BINARY is `lockstep`; DIR holds folders with a manifest.yaml each. Both runtimes are asked for `spec`, and for
`discover` with a configuration that is made up from that spec; the CDK has no network and ten seconds for each. Prints
a line a manifest, then the counts, and ends with 1 where the two differ or a manifest does not parse:

  equal       the same spec and streams: names, schemas, ways to read, keys
  in part     the same, but for streams that we refuse, named with the Python class that they need
  python      the CDK cannot load it without Python that is not there
  cdk cannot  the CDK does not load it for another reason, which is told
  network     what its streams are only the platform knows
  DIFFERENT   what is told does not fit
"""
import json
import re
import subprocess
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from jsonschema import Draft7Validator, FormatChecker

from compare import Run, plain, run_cdk

SECONDS = 10
# Tried in this order where a schema has a pattern or a format; the first that it lets in is taken.
TEXTS = [
    "2024-01-01T00:00:00Z", "2024-01-01", "2024-01-01T00:00:00.000Z", "2024-01-01 00:00:00", "2024-01-01T00:00:00",
    "01-01-2024", "1704067200", "https://example.com", "https://example.com/", "example.com", "abc", "abc1", "1", "sandbox",
    "00000000-0000-4000-8000-000000000000", "a@example.com", "AB",
    "0123456789abcdef01234567", "12345678", "true", "sandbox_a", "01/01/2024 00:00", "01/01/2024",
]


def fits(schema, value):
    return Draft7Validator(schema, format_checker=FormatChecker()).is_valid(value)


def made_up(schema, name=""):
    """A value that a schema lets in."""
    found = schema.get("examples") or []
    said = [schema[key] for key in ("const", "default") if key in schema] + list(schema.get("enum") or [])
    for value in [*said, *(found if isinstance(found, list) else [found])]:
        if fits(schema, value):
            return value
    for key in ("oneOf", "anyOf"):
        for one in schema.get(key) or []:
            rest = {name: value for name, value in schema.items() if name not in (key, "default")}
            chosen = made_up({"type": "object", **one}, name)
            own = made_up(rest, name) if rest.get("properties") else {}
            value = {**own, **chosen} if isinstance(chosen, dict) else chosen
            if fits(schema, value):
                return value
    kind = schema.get("type", "object" if "properties" in schema else "string")
    kind = next((one for one in kind if one != "null"), "string") if isinstance(kind, list) else kind
    if kind == "object":
        return {name: made_up(inner, name) for name, inner in schema.get("properties", {}).items()}
    if kind == "array":
        return [made_up(schema.get("items") or {}, name)]
    if kind in ("integer", "number"):
        return schema.get("minimum", 1)
    if kind == "boolean":
        return True
    texts = TEXTS if schema.get("pattern") or schema.get("format") or "date" in name else ["abc"]
    return next((text for text in texts if fits(schema, text)), "abc")


def guessed(manifest):
    """A configuration for a manifest without a spec: a text for each name that its templates read."""
    names = re.findall(r"""config(?:\[['"](\w+)['"]\]|\.(\w+))""", manifest)
    names = {one or other for one, other in names} - {"get"}
    return {name: TEXTS[0] if "date" in name else "abc" for name in names}


def run_ours(binary, jobs):
    def run(job):
        command = [binary, "connector", job["command"], job["dir"], "--format", "airbyte"]
        command += ["--config", job["config"]] if job.get("config") else []
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60)
        return job["id"], (Run(done.stdout.splitlines(), done.stderr if done.returncode else None), done.stderr)

    with ThreadPoolExecutor(4) as pool:
        return dict(pool.map(run, jobs))


def first_line(text):
    return " ".join(text.split())[:160]


def streams(run):
    found = run.first("CATALOG", "catalog")
    return None if found is None else {stream["name"]: plain(stream) for stream in found["streams"]}


def verdict(name, theirs, ours):
    """What the two came to, and a sentence about it."""
    (our_spec, _), (our_found, said) = ours[f"{name} spec"], ours[f"{name} discover"]
    if our_spec.error:
        return "DIFFERENT", f"does not parse: {first_line(our_spec.error)}"
    spec, our = theirs[f"{name} spec"].first("SPEC", "spec"), our_spec.first("SPEC", "spec")
    if spec is not None and plain(spec) != our and our != {"connectionSpecification": {}}:
        return "DIFFERENT", "the specs are not the same"
    listed, our_listed = streams(theirs[f"{name} discover"]), streams(our_found)
    if listed is None:
        why = theirs[f"{name} discover"].error or theirs[f"{name} spec"].error or "no catalog"
        if any(word in why for word in ("source_", "components", "No module named", "custom")):
            return "python", first_line(why)
        return ("network" if "no network" in why or "not done" in why else "cdk cannot"), first_line(why)
    if our_listed is None:
        return "DIFFERENT", f"the CDK lists {len(listed)} streams, and we say {first_line(our_found.error or said)}"
    apart = [stream for stream in listed.keys() & our_listed.keys() if listed[stream] != our_listed[stream]]
    missing = [stream for stream in listed if stream not in our_listed]
    more = [stream for stream in our_listed if stream not in listed]
    if apart or more:
        return "DIFFERENT", f"streams that differ: {apart[:5]}, that only we have: {more[:5]}"
    unsaid = [stream for stream in missing if f"{stream}" not in said]
    if unsaid:
        return "DIFFERENT", f"streams that are missing without a word: {unsaid[:5]}"
    return ("in part", f"without {missing[:3]}: {first_line(said)}") if missing else ("equal", f"{len(listed)} streams")


def main():
    binary, folder = sys.argv[1], Path(sys.argv[2])
    folders = {path.parent.name: str(path.parent) for path in sorted(folder.glob("*/manifest.yaml"))}
    shown = [{"id": f"{name} spec", "dir": path, "command": "spec"} for name, path in folders.items()]
    ours = run_ours(binary, shown)
    with tempfile.TemporaryDirectory() as kept:
        jobs = []
        for name, path in folders.items():
            config = Path(kept, f"{name}.json")
            spec = ours[f"{name} spec"][0].first("SPEC", "spec") or {}
            schema = spec.get("connectionSpecification")
            config.write_text(json.dumps(made_up(schema) if schema else guessed(Path(path, "manifest.yaml").read_text())))
            jobs.append({"id": f"{name} discover", "dir": path, "command": "discover", "config": str(config)})
        ours |= run_ours(binary, jobs)
        theirs = run_cdk([{**job, "offline": True} for job in [*shown, *jobs]], SECONDS)
    counts = Counter()
    for name in folders:
        kind, why = verdict(name, theirs, ours)
        counts[kind] += 1
        print(f"{name:40} {kind:10} {why}")
    print(f"{len(folders)} manifests: " + ", ".join(f"{count} {kind}" for kind, count in counts.most_common()))
    sys.exit(1 if counts["DIFFERENT"] else 0)


if __name__ == "__main__":
    main()
