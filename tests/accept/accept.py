"""Plays docs/GUIDES/directus-to-tryton.md with both applications, edits, loses hooks, and compares the two sides.

    python3 tests/accept/accept.py target/debug/lockstep       # LOCKSTEP_ACCEPT_SEED chooses other edits

The guide's own `sh` blocks are run, in order; nothing of them stands here. Then people are edited by Directus' API
while the hub is killed in the midst of it, and after it has come back and pulled, all of both sides is read by their
own APIs. The last line is JSON; the exit code is 0 only when the sides are equal, nothing is there twice, and what
Tryton refuses is a problem. What ran is left in target/accept/run, with its logs.
"""

import json
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time

from applications import INSTALLED, Directus, Tryton, answers, free_port, wait_until

GUIDE = pathlib.Path(__file__).resolve().parents[2] / "docs" / "GUIDES" / "directus-to-tryton.md"
PEOPLE = 60
FIRST = ["Zoë", "Łukasz", "Jürgen", "Ana María", "Søren", "王芳", "Ξένια", "Đorđe", "O'Neill", "Fatıma"]
LAST = ["de Vries", "Ångström", "Wiśniewski", "van 't Hoff", "Çelik", "陳", "Παπαδάκη", "Smith-Jones", "", "Ibáñez"]
NO_NUMBER = "+999 12345"


class Hub:
    """The hub that the guide starts, and that is killed and started again here."""

    def __init__(self, program, folder):
        self.program, self.folder = pathlib.Path(program).resolve(), folder
        self.url = f"http://127.0.0.1:{free_port()}"
        self.data = folder / "hub"
        self.env, self.group, self.pid, self.process = {}, None, None, None

    def play(self, directus, tryton):
        """Runs the guide; what it leaves behind is the hub, with its keys and shares."""
        blocks = re.findall(r"^```sh\n(.*?)^```", GUIDE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
        told = self.folder / "told.json"
        ending = (
            'jq -n --arg hub "$(jobs -p | head -n 1)" --arg people "$people" --arg parties "$parties" '
            f"'{{hub: $hub, people: $people, parties: $parties, env: env}}' > {told}\n"
        )
        script = self.folder / "guide.sh"
        script.write_text("set -euo pipefail\n" + "\n".join(blocks) + ending, encoding="utf-8")
        env = {name: value for name, value in os.environ.items() if not name.startswith("LOCKSTEP_")}
        env |= {
            "PATH": f"{self.program.parent}:{os.environ['PATH']}", "LOCKSTEP_URL": self.url, "HUB_DATA": str(self.data),
            "DIRECTUS_URL": directus.url, "DIRECTUS_TOKEN": directus.token, "TRYTON_URL": tryton.url,
            "TRYTON_KEY": tryton.key,
        }
        with open(self.folder / "guide.log", "wb") as log:
            guide = subprocess.Popen(["bash", script], env=env, stdout=log, stderr=log, start_new_session=True)
        self.group = guide.pid
        try:
            code = guide.wait(300)
        except subprocess.TimeoutExpired:
            code = "no end within 300 s"
        if code != 0:
            tail = (self.folder / "guide.log").read_text(encoding="utf-8").splitlines()[-30:]
            raise RuntimeError("the guide does not work: {}\n{}".format(code, "\n".join(tail)))
        said = json.loads(told.read_text(encoding="utf-8"))
        self.env, self.pid = said["env"], int(said["hub"])
        self.people, self.parties = said["people"], said["parties"]
        return len(blocks)

    def kill(self):
        os.kill(self.pid, signal.SIGKILL)
        if self.process:
            self.process.wait(20)
        wait_until("the killed hub answers no more", lambda: not answers(self.url + "/healthz"), 20)

    def start(self):
        """As the guide does it."""
        listen = self.url.removeprefix("http://")
        command = [self.program, "serve", "--data", self.data, "--listen", listen, "--public-url", self.url]
        command += ["--allow-private", "127.0.0.0/8"]
        with open(self.folder / "hub.log", "ab") as log:
            self.process = subprocess.Popen(command, env=self.env, stdout=log, stderr=log)
        self.pid = self.process.pid
        wait_until("the hub is there again", lambda: answers(self.url + "/readyz"), 60)

    def ask(self, *words):
        command = [self.program, *words, "--json"]
        asked = subprocess.run(command, env=self.env, capture_output=True, text=True, timeout=300)
        if asked.returncode:
            raise RuntimeError(f"lockstep {' '.join(words)}: {asked.stderr}{asked.stdout}")
        return json.loads(asked.stdout)

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(30)
        elif self.group:
            # The guide's shell has ended; what it left is in its group.
            try:
                os.killpg(self.group, signal.SIGTERM)
            except ProcessLookupError:
                pass


class Editor:
    """Edits people by Directus' API, and knows which of them Tryton must refuse."""

    def __init__(self, directus):
        self.directus, self.chance = directus, random.Random(os.environ.get("LOCKSTEP_ACCEPT_SEED", "7"))
        self.edits, self.made, self.is_odd = 0, 0, set()

    def number(self):
        return f"+31 20 {self.chance.randrange(500, 800)} {self.chance.randrange(1000, 10000)}"

    def person(self):
        self.made += 1
        return {
            "email": f"Person_{self.made}@club.example", "first_name": self.chance.choice(FIRST),
            "last_name": self.chance.choice(LAST), "phone": self.chance.choice([None, self.number()]),
        }

    def make(self, **more):
        item = self.directus.call("POST", "/items/people", {**self.person(), **more})["data"]
        self.edits += 1
        return item["id"]

    def change(self, item, what):
        self.directus.call("PATCH", f"/items/people/{item}", what)
        self.edits += 1

    def any(self):
        """One edit of those that happen."""
        kind = self.chance.randrange(8)
        ids = [one for one in self.directus.people() if one not in self.is_odd]
        item = self.chance.choice(ids)
        if kind < 3:
            self.make()
        elif kind == 3:
            self.change(item, self.chance.choice([{"phone": None}, {"first_name": None, "last_name": None}]))
        elif kind == 4:
            self.change(item, {"first_name": self.chance.choice(FIRST), "last_name": self.chance.choice([None, *LAST])})
        elif kind == 5:
            self.made += 1
            self.change(item, {"email": f"moved_{self.made}@club.example"})
        elif kind == 6:
            # Several in one call tell of themselves in one hook.
            some = self.chance.sample(ids, 3)
            self.directus.call("PATCH", "/items/people", {"keys": some, "data": {"phone": self.number()}})
            self.edits += 3
        else:
            self.change(item, {"phone": self.number()})

    def refused(self):
        """One that Tryton refuses to make, and one that it refuses to change."""
        self.is_odd.add(self.make(phone=NO_NUMBER))
        known = [one for one in self.directus.people() if one not in self.is_odd]
        item = self.chance.choice(known)
        self.change(item, {"phone": NO_NUMBER})
        self.is_odd.add(item)


def digits(text):
    return re.sub(r"[^0-9+]", "", text or "")


def wanted(item):
    """What a person's party has to be."""
    name = " ".join(part for part in (item["first_name"], item["last_name"]) if part)
    return {"email": item["email"].lower(), "name": name, "phone": digits(item["phone"])}


def found(party):
    reached = {"email": [], "phone": []}
    for way in party["contact_mechanisms"]:
        reached.setdefault(way["type"], []).append(way["value"])
    one = {"email": ",".join(reached["email"]).lower(), "name": party["name"] or ""}
    return one | {"phone": ",".join(map(digits, reached["phone"])), "more": sorted(set(reached) - {"email", "phone"})}


def compare(directus, tryton, odd):
    """Reads all of both sides. What is told: how many were compared, what differs, and who is there twice."""
    items, parties = directus.people(), [found(party) for party in tryton.parties()]
    by_email, doubles = {}, []
    for party in parties:
        if party["email"] in by_email:
            doubles.append(party["email"])
        by_email[party["email"]] = party
    differences = []
    for item in items.values():
        there = by_email.pop(wanted(item)["email"], None)
        if item["id"] in odd:
            # Refused: it is not there, or as it was before.
            if there and there["phone"] == digits(NO_NUMBER):
                differences.append(f"Tryton took {NO_NUMBER}: {there}")
        elif there != {**wanted(item), "more": []}:
            differences.append(f"{wanted(item)} there is {there}")
    differences += [f"nobody here is {party}" for party in by_email.values()]
    return {"compared": len(items) - len(odd), "differences": differences, "doubles": doubles}


def written(tryton):
    """When each party was last written."""
    return {(party["id"], json.dumps(party["write_date"], sort_keys=True)) for party in tryton.parties()}


def settled(directus, tryton, editor):
    """Waits until the sides are equal, and says the last comparison."""
    last = {}

    def holds():
        last.update(compare(directus, tryton, editor.is_odd))
        return not last["differences"] and not last["doubles"]

    try:
        wait_until("both sides are equal", holds, 180)
    except RuntimeError:
        print("\n".join(last["differences"][:10] + last["doubles"][:10]), file=sys.stderr)
    return last


def quiet(hub):
    """Waits until no run is under way."""
    going = {"waiting", "running", "queued"}
    wait_until("no run is under way", lambda: not any(run["state"] in going for run in hub.ask("run", "list")), 180)


def story(hub, directus, tryton):
    editor = Editor(directus)
    for _ in range(PEOPLE):
        editor.make()
    blocks = hub.play(directus, tryton)
    print(f"the guide works: {blocks} blocks", flush=True)
    told = {"blocks": blocks, "equal": True}

    for _ in range(60):
        editor.any()
    editor.refused()
    first = settled(directus, tryton, editor)
    wait_until("both refused are problems", lambda: len(hub.ask("problem", "list")) == 2)
    print(f"{editor.edits} edits by hooks: {len(first['differences'])} differences", flush=True)

    # Edits go on while the hub dies, and while it is not there; nobody tells it of those again.
    before = editor.edits
    at_once = threading.Thread(target=lambda: [editor.any() for _ in range(60)])
    at_once.start()
    wait_until("some edits are made", lambda: editor.edits > before + 20)
    hub.kill()
    before = editor.edits
    at_once.join(120)
    for _ in range(30):
        editor.any()
    editor.refused()
    told["lost"] = editor.edits - before
    told["behind"] = len(compare(directus, tryton, editor.is_odd)["differences"])
    if not told["behind"]:
        raise RuntimeError("nothing was lost while the hub was away, so there is nothing to repair")
    hub.start()
    hub.ask("share", "run", hub.people, "--kind", "incremental", "--wait")
    quiet(hub)
    last = settled(directus, tryton, editor)
    wait_until("all refused are problems", lambda: len(hub.ask("problem", "list")) == len(editor.is_odd))

    # Nothing was left under way that would undo it, and what is equal is not written again.
    before = written(tryton)
    for share in (hub.people, hub.parties):
        hub.ask("share", "run", share, "--kind", "full", "--wait")
        quiet(hub)
    told["needless"] = len(before ^ written(tryton))
    last = settled(directus, tryton, editor)
    problems = hub.ask("problem", "list")
    told |= {
        "edits": editor.edits, "people": len(directus.people()), "compared": last["compared"],
        "differences": len(first["differences"]) + len(last["differences"]), "doubles": len(last["doubles"]),
        "refused": len(editor.is_odd), "problems": len(problems),
    }
    is_told = len(problems) == len(editor.is_odd) and all("phone number" in json.dumps(one) for one in problems)
    told["equal"] = not told["differences"] and not told["doubles"] and not told["needless"] and is_told
    return told


def main():
    folder = INSTALLED / "run"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    began, running = time.monotonic(), []
    try:
        directus = Directus(folder / "directus")
        running.append(directus)
        tryton = Tryton(folder / "tryton")
        running.append(tryton)
        hub = Hub(sys.argv[1], folder)
        running.append(hub)
        told = story(hub, directus, tryton)
    finally:
        for one in reversed(running):
            one.stop()
    told["seconds"] = round(time.monotonic() - began)
    print(json.dumps(told))
    sys.exit(0 if told["equal"] else 1)


main()
