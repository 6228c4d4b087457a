#!/usr/bin/env bash
# Tests the power-loss shim itself, without Lockstep: plain files, threads, and SQLite as Python has
# it. A test that rests on the shim proves nothing if the shim does not take away what it should.
# Bounded: about ten seconds, a temporary folder, no network.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"${CC:-gcc}" -std=gnu11 -O2 -Wall -Wextra -Werror -shared -fPIC -o "$work/shim.so" "$here/shim.c" -lpthread
exec 3<<'PYTHON'
import json, os, pathlib, random, shutil, signal, socket, subprocess, sys, time

here, work = map(pathlib.Path, sys.argv[1:3])
data, journal, trace = work / "data", work / "journal", work / "trace"


def start(program, **settings):
    env = dict(os.environ, LD_PRELOAD=str(work / "shim.so"), LOCKSTEP_SHIM_DIR=str(data),
               LOCKSTEP_SHIM_JOURNAL=str(journal), **settings)
    prelude = "import os, signal, sys, threading, sqlite3\ndie = lambda: os.kill(os.getpid(), signal.SIGKILL)\n"
    return subprocess.Popen([sys.executable, "-c", prelude + program], cwd=data, env=env,
                            stdout=subprocess.PIPE, text=True)


def run_until_killed(program, **settings):
    child = start(program, **settings)
    child.communicate(timeout=15)
    assert child.returncode == -signal.SIGKILL, f"the program ended with {child.returncode}"


def undo(*options):
    done = subprocess.run([sys.executable, here / "undo.py", "--dir", data, "--journal", journal, *options],
                          check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def afresh():
    shutil.rmtree(data, ignore_errors=True)
    data.mkdir()
    for path in (journal, trace):
        path.unlink(missing_ok=True)


def holds(name, expected):
    found = (data / name).read_bytes()
    assert found == expected, f"{name} holds {found[:60]!r}, not {expected[:60]!r}"


def unsynced_changes_are_taken_away():
    run_until_killed('''
fd = os.open("a", os.O_RDWR | os.O_CREAT)
os.write(fd, b"0123456789"); os.fsync(fd)
os.pwrite(fd, b"xx", 2); os.pwrite(fd, b"yyyy", 8); os.ftruncate(fd, 5); os.writev(fd, [b"zz", b"zz"])
os.posix_fallocate(fd, 0, 4000)
more = os.dup(fd); os.pwrite(more, b"late", 0)
kept = os.open("b", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
os.write(kept, b"one,"); os.write(kept, b"two,"); os.fdatasync(kept); os.write(kept, b"three")
new = os.open("c", os.O_WRONLY | os.O_CREAT); os.write(new, b"never synced")
open("d.lock", "w").write("not watched"); die()''')
    told = undo()
    holds("a", b"0123456789"), holds("b", b"one,two,"), holds("c", b""), holds("d.lock", b"not watched")
    assert told["writes_undone"] == 8 and told["files"] == 3, told


def reopening_with_truncation_is_undone_and_names_are_followed():
    run_until_killed('''
with open("a", "wb") as f: f.write(b"first"); f.flush(); os.fsync(f.fileno())
with open("a", "wb") as f: f.write(b"2"); f.flush()
with open("tmp", "wb") as f: f.write(b"synced"); f.flush(); os.fsync(f.fileno()); f.write(b", not synced"); f.flush()
os.rename("tmp", "final")
with open("gone", "wb") as f: f.write(b"x"); f.flush()
os.unlink("gone"); die()''')
    undo()
    holds("a", b"first"), holds("final", b"synced")
    assert not (data / "gone").exists() and not (data / "tmp").exists()


def each_file_keeps_its_own_order_under_threads():
    run_until_killed('''
fds = [os.open(f"t{n}", os.O_RDWR | os.O_CREAT) for n in range(4)]
def work(fd):
    for n in range(400):
        os.pwrite(fd, b"%08d" % n, 8 * n)
        if n % 50 == 49: os.fdatasync(fd)
    os.pwrite(fd, b"overwrit", 0)
threads = [threading.Thread(target=work, args=(fd,)) for fd in fds]
[t.start() for t in threads]; [t.join() for t in threads]; die()''')
    undo()
    for n in range(4):
        holds(f"t{n}", b"".join(b"%08d" % i for i in range(400)))


def a_prefix_may_be_kept():
    lengths = set()
    for seed in range(6):
        afresh()
        run_until_killed('''
fd = os.open("a", os.O_RDWR | os.O_CREAT)
for n in range(20): os.write(fd, b"%02d" % n)
die()''')
        undo("--keep-random", str(seed))
        text = (data / "a").read_bytes()
        assert text == b"".join(b"%02d" % n for n in range(len(text) // 2)), text
        lengths.add(len(text))
    assert len(lengths) > 2, lengths


def a_torn_record_is_ignored_and_later_ones_are_read():
    run_until_killed('fd = os.open("a", os.O_RDWR | os.O_CREAT); os.write(fd, b"lost"); die()')
    with open(journal, "ab") as file:
        file.write(b"LSJ1" + b"\1" * 30)
    run_until_killed('fd = os.open("a", os.O_RDWR); os.pwrite(fd, b"more", 4); die()')
    with open(journal, "ab") as file:
        file.write(b"LSJ1")
    told = undo()
    assert told["writes_undone"] == 2 and told["torn_bytes"] == 4, told
    holds("a", b"")


WRITER = '''
db = sqlite3.connect("rows.db", isolation_level=None)
for pragma in ("journal_mode=WAL", "synchronous=FULL", "wal_autocheckpoint=15"): db.execute("PRAGMA " + pragma)
db.execute("CREATE TABLE IF NOT EXISTS rows (n INTEGER PRIMARY KEY, pad BLOB)")
(n,) = db.execute("SELECT COALESCE(MAX(n), 0) FROM rows").fetchone()
while True:
    n += 1
    db.execute("BEGIN")
    db.execute("INSERT INTO rows VALUES (?, randomblob(700))", (n,))
    db.execute("UPDATE rows SET pad = randomblob(900) WHERE n = ?", (max(1, n // 2),))
    db.execute("COMMIT")
    os.write(1, b"%d\\n" % n)
'''
LOOK = '''
db = sqlite3.connect("rows.db")
tables = db.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0]
print(db.execute("PRAGMA integrity_check").fetchone()[0])
print(db.execute("SELECT COUNT(*) FROM rows").fetchone()[0] if tables else 0)
'''


def write_rows_until_killed(seconds, **settings):
    child = start(WRITER, **settings)
    time.sleep(seconds)
    child.kill()
    acknowledged = child.communicate(timeout=15)[0].split("\n")
    return int(acknowledged[-2]) if len(acknowledged) > 1 else 0  # the last line may be cut


def look():
    child = subprocess.run([sys.executable, "-c", "import sqlite3" + LOOK], cwd=data, capture_output=True, text=True, check=True)
    verdict, rows = child.stdout.split()
    return verdict, int(rows)


def committed_rows_of_sqlite_survive():
    chance, acknowledged, undone = random.Random(7), 0, 0
    for turn in range(6):
        acknowledged = max(acknowledged, write_rows_until_killed(0.35 + chance.random() * 0.3))
        told = undo(*(["--keep-random", str(turn)] if turn % 2 else []))
        undone += told["writes_undone"]
        verdict, rows = look()
        assert verdict == "ok", verdict
        assert rows >= acknowledged > 0, f"{acknowledged} rows were acknowledged, {rows} are there"
    assert undone > 0, "no write was ever undone: the test shows nothing"


def without_the_sync_rows_are_lost():
    acknowledged = write_rows_until_killed(0.6, LOCKSTEP_SHIM_NO_SYNC="1", LOCKSTEP_SHIM_TRACE=str(trace))
    undo()
    verdict, rows = look()
    assert acknowledged > rows, f"{acknowledged} rows were acknowledged and {rows} are there: nothing was lost"
    assert not trace.exists(), "a sync that did not happen was traced"


def the_trace_has_syncs_and_answers_in_order():
    run_until_killed('''
import socket
a, b = socket.socketpair()
fd = os.open("wal", os.O_RDWR | os.O_CREAT)
os.write(fd, b"HTTP/1.1 999 in a file"); os.fdatasync(fd)
a.send(b"HTTP/1.1 202 Accepted\\r\\n\\r\\n"); os.fsync(fd)
a.sendmsg([b"HTTP", b"/1.1 200 OK\\r\\n"]); os.write(a.fileno(), b"HTTP/1.1 503 Busy\\r\\n")
os.writev(a.fileno(), [b"HTTP/1.1 404 ", b"x"]); a.send(b"POST / HTTP/1.1\\r\\n"); die()''',
                     LOCKSTEP_SHIM_TRACE=str(trace))
    wal = os.path.realpath(data / "wal")
    assert trace.read_text().split("\n") == [
        f"sync {wal}", "answer 202", f"sync {wal}", "answer 200", "answer 503", "answer 404", ""], trace.read_text()


def no_journal_is_an_error():
    done = subprocess.run([sys.executable, here / "undo.py", "--dir", data, "--journal", journal], capture_output=True)
    assert done.returncode == 2, done


TESTS = [unsynced_changes_are_taken_away, reopening_with_truncation_is_undone_and_names_are_followed,
         each_file_keeps_its_own_order_under_threads, a_prefix_may_be_kept,
         a_torn_record_is_ignored_and_later_ones_are_read, committed_rows_of_sqlite_survive,
         without_the_sync_rows_are_lost, the_trace_has_syncs_and_answers_in_order, no_journal_is_an_error]
for test in TESTS:
    afresh()
    test()
    print("ok", test.__name__)
PYTHON
python3 /dev/fd/3 "$here" "$work" </dev/null
