#!/usr/bin/env python3
"""Pulls the plug: takes away from a folder everything that no sync covered.

Reads the journal that shim.c kept and undoes, newest first, each write and cut of each file after
that file's last sync. The process that wrote it must be dead. What remains is what a power loss
would have left: all of it lost by default, or with --keep-random a prefix of each file's writes
kept, since a disk may have got that far by itself.

Prints a JSON summary, empties the journal, and exits 2 when there is none (a shim that was never
loaded must not look like a test that passed).
"""
import argparse
import json
import os
import pathlib
import random
import struct
import sys

# shim.c, struct head: magic, kind, seq, offset, old_len, data_len, path_len, zero
HEAD = struct.Struct("<IIQQQQII")
MAGIC = int.from_bytes(b"LSJ1", "little")
WRITE, CUT, SYNC, UNLINK, RENAME = range(1, 6)


def read_journal(journal):
    """Gives, per file that still has its name, the changes that no sync covered, oldest first."""
    pending, torn = {}, 0
    end = os.fstat(journal.fileno()).st_size
    at = 0
    while at < end:
        journal.seek(at)
        raw = journal.read(HEAD.size)
        if len(raw) < HEAD.size:
            torn = end - at
            break
        magic, kind, seq, offset, old_len, data_len, path_len, _ = HEAD.unpack(raw)
        if magic != MAGIC:
            sys.exit(f"undo.py: no record of the shim at byte {at} of the journal")
        data_at = at + HEAD.size + path_len
        if data_at + data_len > end:
            torn = end - at  # killed inside the record, so before its data was written
            break
        path = journal.read(path_len)
        at = data_at + data_len
        if kind in (WRITE, CUT):
            pending.setdefault(path, []).append((seq, offset, old_len, data_at, data_len))
        elif kind == SYNC:
            pending[path] = [change for change in pending.get(path, []) if change[0] > offset]
        elif kind == UNLINK:
            pending.pop(path, None)
        elif kind == RENAME:
            old, new = path.split(b"\0")
            pending[new] = pending.pop(old, [])
    return pending, torn


def undo(journal, path, changes):
    """Puts back the old bytes and the old length, newest change first; gives the bytes affected."""
    touched = 0
    with open(path, "r+b", buffering=0) as file:
        for _, offset, old_len, data_at, data_len in reversed(changes):
            touched += data_len + max(0, os.fstat(file.fileno()).st_size - old_len)
            file.truncate(old_len)
            journal.seek(data_at)
            left, file_at = data_len, offset
            while left:
                piece = journal.read(min(left, 1 << 20))
                os.pwrite(file.fileno(), piece, file_at)
                left, file_at = left - len(piece), file_at + len(piece)
    return touched


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dir", default=os.environ.get("LOCKSTEP_SHIM_DIR"), help="the watched folder")
    parser.add_argument("--journal", default=os.environ.get("LOCKSTEP_SHIM_JOURNAL"), help="the undo journal")
    parser.add_argument("--keep-random", metavar="SEED", help="keep a random prefix of each file's unsynced writes")
    args = parser.parse_args()
    if not args.dir or not args.journal:
        parser.error("--dir and --journal are needed")
    if not os.path.exists(args.journal):
        print(f"undo.py: no journal at {args.journal}: the shim was not loaded, or nothing was written", file=sys.stderr)
        sys.exit(2)

    chance = random.Random(args.keep_random) if args.keep_random is not None else None
    summary = {"files": 0, "writes_undone": 0, "writes_kept": 0, "bytes_undone": 0, "missing": 0, "torn_bytes": 0}
    with open(args.journal, "r+b") as journal:
        pending, summary["torn_bytes"] = read_journal(journal)
        for path, changes in sorted(pending.items()):
            summary["files"] += 1
            if not os.path.exists(path):
                summary["missing"] += 1
                continue
            kept = chance.randint(0, len(changes)) if chance else 0
            summary["writes_kept"] += kept
            summary["writes_undone"] += len(changes) - kept
            summary["bytes_undone"] += undo(journal, path, changes[kept:])
        journal.truncate(0)
    # Shared memory does not outlive the machine.
    for shared in pathlib.Path(args.dir).rglob("*-shm"):
        shared.unlink()
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
