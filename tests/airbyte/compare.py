#!/usr/bin/env python3
"""Reads the same API from the same manifests with two runtimes, and says where they differ.

usage: compare.py BINARY [NAME...]     (run it with target/peers/airbyte/bin/python)

BINARY is `lockstep`; the other runtime is airbyte-cdk, by reference.py. Without names, all of manifests/ that both
know. Compared: spec, check, catalog; RECORD lines of each stream as multisets; the last STATE of each; which streams
failed; the configuration that was written back; the same again for a second sync that goes on from that state.
A difference that is meant stands in DIFFERENCES.md with its reason: one that does not stand there fails, and one that
stands there and is not met fails too. Ends with 0 where all is as told.

LOCKSTEP_AIRBYTE_SEEDS (1) runs that many seeds, LOCKSTEP_AIRBYTE_SCALE (1) multiplies the data, LOCKSTEP_AIRBYTE_KEEP
names a folder for what both printed.
"""
import json
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
SECONDS = 240
AT_ONCE = 4
OURS_ALONE = {"extensions"}
# What the protocol takes for granted, and the CDK writes out.
GRANTED = {"supportsNormalization": False, "supportsDBT": False, "is_file_based": False}


class Api:
    """The API as a child; it ends with its standard input."""

    def __init__(self, seed):
        env = {**os.environ, "LOCKSTEP_AIRBYTE_SEED": str(seed)}
        command = [sys.executable, str(HERE / "api.py"), "1800"]
        self.child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env)
        told = json.loads(self.child.stdout.readline())
        self.url, self.private_key = told["base_url"], told["private_key"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.stdin.close()
        self.child.wait()

    def config(self, name, client):
        text = (HERE / "manifests" / name / "config.json").read_text()
        key = json.dumps(self.private_key)[1:-1]
        return text.replace("{base_url}", f"{self.url}/{client}").replace("{private_key}", key)


class Run:
    """What a runtime printed, and why it ended, if not well."""

    def __init__(self, lines, error):
        self.error, self.odd, self.messages = error, [], []
        for line in lines:
            try:
                self.messages.append(json.loads(line))
            except ValueError:
                self.odd.append(line)

    def of(self, kind, *path):
        for message in self.messages:
            if message.get("type") == kind:
                for part in path:
                    message = message.get(part) or {}
                yield message

    def first(self, kind, *path):
        return next(self.of(kind, *path), None)

    def records(self):
        found = defaultdict(Counter)
        for record in self.of("RECORD", "record"):
            found[record["stream"]][json.dumps(without_nothing(record["data"]), sort_keys=True, ensure_ascii=False)] += 1
        return found

    def counted(self):
        """Of each stream, how many records its states say came before them, all together."""
        counts = Counter()
        for state in self.of("STATE", "state"):
            counts[state["stream"]["stream_descriptor"]["name"]] += state["sourceStats"]["recordCount"]
        return counts

    def states(self):
        return {state["stream_descriptor"]["name"]: settled(state["stream_state"]) for state in self.of("STATE", "state", "stream")}

    def state_messages(self):
        last = {state["stream_descriptor"]["name"]: state for state in self.of("STATE", "state", "stream")}
        return [{"type": "STREAM", "stream": state} for state in last.values()]

    def failed(self):
        errors = [trace["error"] for trace in self.of("TRACE", "trace") if trace.get("type") == "ERROR"]
        return {(error.get("stream_descriptor") or {}).get("name") for error in errors} - {None}

    def written_back(self):
        controls = list(self.of("CONTROL", "control", "connectorConfig", "config"))
        return without_addresses(controls[-1]) if controls else None


def without_addresses(value):
    """A configuration without the client's name, and without instants: those of two runs are never the same."""
    text = re.sub(r"http://127\.0\.0\.1:\d+/\w+", "http://api", json.dumps(value))
    return json.loads(re.sub(r"20\d\d-\d\d-\d\dT[^\"]*", "an instant", text))


def without_nothing(record):
    """The CDK leaves out what is null at the top of a record; we keep it (DIFFERENCES.md)."""
    return {name: value for name, value in record.items() if value is not None} if isinstance(record, dict) else record


def plain(message):
    return message and {name: value for name, value in message.items() if name not in GRANTED or value != GRANTED[name]}


def settled(state):
    """A state in which the order of partitions, and how long the sync took, do not matter."""
    if isinstance(state, list):
        return sorted((settled(item) for item in state), key=lambda item: json.dumps(item, sort_keys=True))
    if isinstance(state, dict):
        return {name: "some seconds" if name == "lookback_window" else settled(value) for name, value in state.items()}
    return state


def run_cdk(jobs, seconds=SECONDS):
    """Gives runs by id."""
    lines = "".join(json.dumps({**job, "seconds": seconds}) + "\n" for job in jobs)
    command = [sys.executable, str(HERE / "reference.py"), str(AT_ONCE)]
    done = subprocess.run(command, input=lines, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True)
    told = map(json.loads, done.stdout.splitlines())
    return {one["id"]: Run(one["lines"], one["error"]) for one in told}


def run_ours(binary, jobs):
    def run(job):
        command = [binary, "connector", job["command"], job["dir"], "--format", "airbyte"]
        if job["command"] != "spec":
            command += ["--allow-private", "127.0.0.0/8"]
            for name in ("config", "catalog", "state"):
                command += [f"--{name}", job[name]] if job.get(name) else []
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, stdin=subprocess.DEVNULL)
        except subprocess.TimeoutExpired:
            return job["id"], Run([], f"not done within {SECONDS} s")
        return job["id"], Run(done.stdout.splitlines(), done.stderr.strip()[-1_500:] if done.returncode else None)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return dict(pool.map(run, jobs))


class Trial:
    """One seed: both runtimes over all manifests."""

    def __init__(self, binary, api, folder, names):
        self.binary, self.api, self.folder, self.names = binary, api, folder, names
        self.found = []  # (manifest, stream, aspect, what both said)

    def file(self, name, text):
        path = self.folder / name
        path.write_text(text)
        return str(path)

    def job(self, name, command, client, **files):
        config = self.file(f"{name}.{client}.json", self.api.config(name, client))
        return {"id": f"{name} {command}", "dir": str(HERE / "manifests" / name), "command": command, "config": config, **files}

    def both(self, jobs):
        """`jobs` makes the jobs of a client; both runtimes do theirs."""
        return run_cdk(jobs("cdk")), run_ours(self.binary, jobs("ours"))

    def differ(self, name, stream, aspect, theirs, ours):
        if theirs != ours:
            self.found.append((name, stream, aspect, f"cdk: {str(theirs)[:1_500]}\n      ours: {str(ours)[:1_500]}"))

    def run(self):
        shown = ("spec", "check", "discover")
        theirs, ours = self.both(lambda client: [self.job(name, command, f"{client}0") for name in self.names for command in shown])
        catalogs = {}
        for name in self.names:
            self.compare_shown(name, theirs, ours)
            catalog = theirs[f"{name} discover"].first("CATALOG", "catalog") or {"streams": []}
            catalogs[name] = self.file(f"{name}.catalog.json", json.dumps(configured(catalog)))
        begun = {name: HERE / "manifests" / name / "state.json" for name in self.names}
        begun = {name: str(path) for name, path in begun.items() if path.is_file()}
        first = self.read("1", catalogs, lambda name: begun.get(name))
        for name in self.names:
            states = first[f"{name} read"].state_messages()
            begun[name] = self.file(f"{name}.state.json", json.dumps(states))
        self.read("2", catalogs, lambda name: begun[name])
        return self.found

    def compare_shown(self, name, theirs, ours):
        self.differ(name, "*", "spec", *(plain(run[f"{name} spec"].first("SPEC", "spec")) for run in (theirs, ours)))
        self.differ(name, "*", "check", *((run[f"{name} check"].first("CONNECTION_STATUS", "connectionStatus") or {}).get("status") for run in (theirs, ours)))
        listed = [{stream["name"]: stream for stream in (run[f"{name} discover"].first("CATALOG", "catalog") or {}).get("streams", [])} for run in (theirs, ours)]
        self.differ(name, "*", "streams", *(list(streams) or run[f"{name} discover"].error for streams, run in zip(listed, (theirs, ours))))
        for stream in listed[0].keys() & listed[1].keys():
            self.differ(name, stream, "catalog", plain(listed[0][stream]), plain(listed[1][stream]))

    def read(self, time, catalogs, state):
        def jobs(client):
            made = []
            for name in self.names:
                files = {"catalog": catalogs[name], **({"state": state(name)} if state(name) else {})}
                made.append(self.job(name, "read", f"{client}{time}", **files))
            return made

        theirs, ours = self.both(jobs)
        suffix = "" if time == "1" else f" {time}"
        for name in self.names:
            one, other = theirs[f"{name} read"], ours[f"{name} read"]
            self.keep(f"{name}.{time}", one, other)
            for odd in other.odd:
                self.found.append((name, "*", "odd line", odd))
            if one.error and one.error.startswith("not done"):
                self.found.append((name, "*", "time", one.error))
            records, states, failed = (one.records(), other.records()), (one.states(), other.states()), (one.failed(), other.failed())
            streams = [entry["stream"]["name"] for entry in json.loads(Path(catalogs[name]).read_text())["streams"]]
            for stream in streams:
                only = [side[stream] - records[1 - index][stream] for index, side in enumerate(records)]
                if any(only):
                    counts = [side[stream].total() for side in records]
                    self.differ(name, stream, f"records{suffix}", *(f"{count} records, alone {dict(part.most_common(1))}" for count, part in zip(counts, only)))
                self.differ(name, stream, f"state{suffix}", *(side.get(stream) for side in states))
                if stream in states[0] and stream in states[1]:
                    self.differ(name, stream, f"count{suffix}", *(side.counted()[stream] for side in (one, other)))
                self.differ(name, stream, f"failure{suffix}", *(stream in side for side in failed))
            self.differ(name, "*", f"config{suffix}", one.written_back(), other.written_back())
            if not other.failed() and other.error:
                self.found.append((name, "*", f"end{suffix}", other.error))
        return theirs

    def keep(self, name, theirs, ours):
        folder = os.environ.get("LOCKSTEP_AIRBYTE_KEEP")
        for who, run in (("cdk", theirs), ("ours", ours)) if folder else ():
            text = "".join(json.dumps(message) + "\n" for message in run.messages)
            Path(folder, f"{name}.{who}.jsonl").write_text(text + "".join(run.odd) + (run.error or ""))


def configured(catalog):
    """Everything, and only what is new where that can be."""
    def entry(stream):
        mode = "incremental" if "incremental" in stream["supported_sync_modes"] else "full_refresh"
        return {"stream": stream, "sync_mode": mode, "destination_sync_mode": "append"}

    return {"streams": [entry(stream) for stream in catalog["streams"]]}


def meant():
    """The table of DIFFERENCES.md: (manifest, stream, aspect), each with the reason."""
    rows = [line.strip().strip("|").split("|") for line in (HERE / "DIFFERENCES.md").read_text().splitlines() if line.startswith("|")]
    cells = [[cell.strip().strip("`") for cell in row] for row in rows[2:]]
    return {tuple(row[:3]): row[3] for row in cells}


def main():
    binary, names = sys.argv[1], sys.argv[2:]
    everything = sorted(path.name for path in (HERE / "manifests").iterdir() if path.name not in OURS_ALONE)
    names = names or everything
    seen, unmeant = set(), []
    expected = {key: reason for key, reason in meant().items() if key[0] in names}
    for seed in range(int(os.environ.get("LOCKSTEP_AIRBYTE_SEEDS", "1"))):
        with Api(seed) as api, tempfile.TemporaryDirectory() as folder:
            for name, stream, aspect, said in Trial(binary, api, Path(folder), names).run():
                seen.add((name, stream, aspect))
                if (name, stream, aspect) not in expected:
                    unmeant.append(f"{name} / {stream}: {aspect} (seed {seed})\n      {said}")
    gone = [key for key in expected if key not in seen]
    for line in unmeant:
        print(f"DIFFERENT {line}")
    for key in gone:
        print(f"GONE {' / '.join(key)}: stands in DIFFERENCES.md and was not met")
    print(f"{len(names)} manifests, {len(unmeant)} differences that nobody meant, {len(seen) - len({*seen} - {*expected})} that are meant")
    sys.exit(1 if unmeant or gone else 0)


if __name__ == "__main__":
    main()
