#!/usr/bin/env python3
"""An API that is as awkward as real ones, for two runtimes that read it from the same manifest.

usage: api.py [SECONDS]     (it ends after that time, or with its standard input)

Its first line on standard output is JSON: its URL on 127.0.0.1, and a private key that it trusts. The first part of each path names the client, and all that
the API remembers (faults told, tokens given, jobs begun) it remembers for that client alone: whoever comes second
meets the same. LOCKSTEP_AIRBYTE_SEED and LOCKSTEP_AIRBYTE_SCALE choose other data and more of it.

    /CLIENT/list/STYLE/DATASET       paging: offset, page, token, header, link, next, after, body
    /CLIENT/fault/KIND/...           whatever follows, after the fault was told once a path
    /CLIENT/events/FORM              records with instants, by `from` and `to`; /feed/FORM newest first
    /CLIENT/orgs/...                 parents and children
    /CLIENT/form/KIND/DATASET        bodies: jsonl, csv, xml, lines, gzip, zip ...
    /CLIENT/jobs ...                 asynchronous jobs
    /CLIENT/echo/...                 one record: the request as it came
    /CLIENT/door/KIND/...            whatever follows, for who proves himself (doors.py)
"""
import gzip
import json
import sys
import threading
import urllib.parse
from collections import defaultdict
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import data
import doors


@dataclass
class Answer:
    """`body` is bytes, or a value for JSON."""

    body: object
    status: int = 200
    headers: dict = field(default_factory=dict)


class Client:
    """What is remembered of one client."""

    def __init__(self):
        self.lock = threading.Lock()
        self.counts = defaultdict(int)
        self.keys = doors.Keys()

    def times(self, what):
        """How often this was asked before."""
        with self.lock:
            self.counts[what] += 1
            return self.counts[what] - 1


@dataclass
class Request:
    method: str
    url: str  # up to and with the client's name
    path: list
    query: dict
    headers: object
    body: bytes
    client: Client
    here_exactly: str = ""  # the whole address, as it was asked for

    def get(self, name, default=None):
        return self.query.get(name, [default])[0]

    def number(self, name, default):
        return int(self.get(name, default))

    def json(self):
        return json.loads(self.body) if self.body else {}

    def form(self):
        return {name: values[0] for name, values in urllib.parse.parse_qs(self.body.decode()).items()}

    def here(self, **query):
        """This address with other parameters."""
        merged = {**{name: values[0] for name, values in self.query.items()}, **query}
        return f"{self.url}/{'/'.join(self.path)}?{urllib.parse.urlencode(merged)}"


def records_of(request, dataset):
    """A dataset as it stands for this client: `growing` gets a record in front when its second page is asked for."""
    records = data.people(dataset)
    if dataset == "growing" and request.client.times(f"grow {request.path}") > 0:
        return [{**data.person(0), "name": "came meanwhile"}, *records]
    return records


def cut(request, dataset, start, size):
    if dataset == "repeats" and data.PAGE <= start < 2 * data.PAGE:
        start -= data.PAGE
    return records_of(request, dataset)[start : start + size]


def by_offset(request, dataset):
    start, size = request.number("offset", 0), request.number("limit", data.PAGE)
    return Answer({"data": cut(request, dataset, start, size), "total": data.size(dataset), "seen": request.query})


def by_page(request, dataset, first):
    page, size = request.number("page", first) - first, request.number("per_page", data.PAGE)
    return Answer(cut(request, dataset, page * size, size))


def by_token(request, dataset):
    token = request.get("cursor") or request.headers.get("X-Cursor") or request.json().get("after", {}).get("token") or "c0"
    start, size = int(token[1:]), request.number("limit", data.PAGE)
    more = start + size < data.size(dataset)
    token = f"c{start + size}" if more else None
    return Answer({"items": cut(request, dataset, start, size), "paging": {"next": token, "more": more}}, headers={"X-Next": token or ""})


def by_link(request, dataset):
    start = request.number("start", 0)
    more = start + data.PAGE < data.size(dataset)
    link = {"Link": f'<{request.here(start=start + data.PAGE)}>; rel="next", <{request.here(start=0)}>; rel="first"'} if more else {}
    return Answer(cut(request, dataset, start, data.PAGE), headers=link)


def by_next(request, dataset):
    start = request.number("start", 0)
    more = start + data.PAGE < data.size(dataset)
    following = request.here(start=start + data.PAGE) if more else None
    if request.get("relative") and following:
        following = following.removeprefix(request.url)
    return Answer({"results": cut(request, dataset, start, data.PAGE), "next": following})


def by_last(request, dataset):
    after = request.number("after_id", 0)
    return Answer({"data": [one for one in records_of(request, dataset) if one["id"] > after][: data.PAGE]})


def by_body(request, dataset):
    told = request.json().get("paging", {}) if "json" in request.headers.get("Content-Type", "") else request.form()
    start, size = int(told.get("offset", 0)), int(told.get("limit", data.PAGE))
    return Answer({"data": cut(request, dataset, start, size)})


def limited(request, dataset):
    """Pages up to the third, then a refusal: for runtimes that begin anew from the last record."""
    if request.number("page", 1) > 2:
        return Answer({"error": "too deep"}, 400)
    since = data.instant(request.get("from"), "z")
    rows = [row for when, row in data.events("z") if since is None or when >= since]
    size = data.PAGE
    start = (request.number("page", 1) - 1) * size
    return Answer({"data": rows[start : start + size]})


STYLES = {
    "offset": by_offset,
    "page": lambda request, dataset: by_page(request, dataset, 1),
    "page0": lambda request, dataset: by_page(request, dataset, 0),
    "token": by_token,
    "link": by_link,
    "next": by_next,
    "after": by_last,
    "body": by_body,
    "limited": limited,
}


def lists(request, style, dataset):
    return STYLES[style](request, dataset)


def fault(request, kind, *rest):
    """Tells the fault once a path and parameters, then what was asked for."""
    before = request.client.times(f"fault {request.path} {sorted(request.query.items())}")
    if kind == "always400":
        return Answer({"error": {"code": "bad", "message": "never works"}}, 400)
    if kind == "always404":
        return Answer({"message": "no such thing"}, 404)
    if kind == "second":  # once, at the second page
        is_first_time = request.get("page") == "2" and request.client.times(f"second {request.path}") == 0
        return Answer({"error": "begin anew"}, 409) if is_first_time else route(request, rest)
    if kind == "hidden":  # an error under HTTP 200
        return Answer({"ok": False, "error": "rate"}) if before == 0 else route(request, rest)
    if kind == "hidden_end":
        return Answer({"ok": False, "error": "closed"})
    if kind == "wait_in_body":
        return Answer({"wait": 1, "error": "slow down"}, 429) if before == 0 else route(request, rest)
    answers = {
        "429": Answer({"error": "slow down"}, 429),
        "429after": Answer({"error": "slow down"}, 429, {"Retry-After": "1"}),
        "429reset": Answer({"error": "slow down"}, 429, {"X-Reset": str(int(doors.now()) + 1)}),
        "429text": Answer({"error": "slow down"}, 429, {"X-Wait": "wait 1 s"}),
        "500": Answer({"error": "broken"}, 500),
        "503": Answer(b"<html><body>down for a moment</body></html>", 503, {"Content-Type": "text/html"}),
        "409": Answer({"error": {"code": "busy", "message": "please try again"}}, 409),
        "202": Answer({"status": "preparing"}, 202),
        "401": Answer({"error": "who are you"}, 401),
    }
    return answers[kind] if before == 0 else route(request, rest)


def event_list(request, form):
    since, until = data.instant(request.get("from"), form), data.instant(request.get("to"), form)
    if request.method == "POST":
        told = request.json() if "json" in request.headers.get("Content-Type", "") else request.form()
        since, until = data.instant(told.get("from"), form), data.instant(told.get("to"), form)
    rows = [row for when, row in data.events(form) if (since is None or when >= since) and (until is None or when <= until)]
    if request.get("breaks_in") and (request.get("from") or "").startswith(request.get("breaks_in")):
        return Answer({"error": "not these days"}, 400)
    group = request.get("kind")
    rows = [row for row in rows if group is None or str(row["kind"]) == group]
    start = request.number("offset", 0)
    return Answer({"data": rows[start : start + 25] if "offset" in request.query else rows})


def feed(request, form):
    """Newest first, by pages."""
    rows = [row for _, row in reversed(data.events(form))]
    start = request.number("offset", 0)
    return Answer({"data": rows[start : start + data.PAGE]})


def numbers(request):
    since = request.number("since", 0)
    return Answer({"data": [{"id": one, "seq": one * 3} for one in range(1, 30 * data.SCALE) if one * 3 >= since]})


def orgs(request, org=None, what=None, team=None, deeper=None):
    """Three parents, one of them gone (404), one without children; teams have members, and both have instants."""
    since = data.instant(request.get("from"), "z")
    if org is None:
        rows = [{"id": one, "slug": f"org-{one}", "owner": {"name": f"Owner {one}", "id": one * 100}, "at": data.FORMATS["z"](data.at(one * 10))} for one in range(1, 5)]
        return Answer({"data": [row for row in rows if since is None or data.instant(row["at"], "z") >= since]})
    number = int(str(org).removeprefix("org-"))
    if number == 3:
        return Answer({"message": "gone"}, 404)
    if team is None:
        teams = [] if number == 4 else [{"id": number * 10 + one, "name": f"Team {one}", "at": data.FORMATS["z"](data.at(number * 10 + one))} for one in range(1, 4 + data.SEED % 2)]
        return Answer({"data": [row for row in teams if since is None or data.instant(row["at"], "z") >= since]})
    members = [{"id": int(team) * 10 + one, "team": int(team), "at": data.FORMATS["z"](data.at(int(team) + one))} for one in range(int(team) % 4)]
    return Answer({"data": [row for row in members if since is None or data.instant(row["at"], "z") >= since]})


def search(request):
    """By ids, several at a time."""
    ids = [int(one) for one in (request.get("ids") or "").split(",") if one]
    return Answer({"data": [data.person(one) for one in ids]})


def forms(request, kind, dataset):
    records = data.people(dataset)
    bodies = {
        "json": lambda: (json.dumps({"data": records}).encode(), "application/json"),
        "jsonl": lambda: (data.as_json_lines(records), "application/x-ndjson"),
        "csv": lambda: (data.as_csv(records), "text/csv"),
        "semicolon": lambda: (data.as_csv(records, ";", "latin-1"), "text/csv; charset=iso-8859-1"),
        "tab": lambda: (data.as_csv(records, "\t"), "text/tab-separated-values"),
        "xml": lambda: (data.as_xml(records), "application/xml"),
        "lines": lambda: (data.as_lines(records), "text/plain"),
        "gzip_jsonl": lambda: (data.packed(data.as_json_lines(records)), "application/gzip"),
        "gzip_csv": lambda: (data.packed(data.as_csv(records)), "application/gzip"),
        "gzip_json": lambda: (data.packed(json.dumps({"data": records}).encode()), "application/gzip"),
        "zip_jsonl": lambda: (data.zipped({"a.jsonl": data.as_json_lines(records)}), "application/zip"),
        "zip_json": lambda: (data.zipped({"a.json": json.dumps(records[:2]).encode(), "b.json": json.dumps(records[2:]).encode()}), "application/zip"),
        "zip_csv": lambda: (data.zipped({"a.csv": data.as_csv(records)}), "application/zip"),
    }
    body, content_type = bodies[kind]()
    return Answer(body, headers={"Content-Type": content_type})


def encoded(request, *rest):
    """Whatever follows, with Content-Encoding: gzip."""
    answer = route(request, rest)
    body = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
    kind = {"Content-Type": "application/json", **answer.headers, "Content-Encoding": "gzip"}
    return Answer(gzip.compress(body), answer.status, kind)


def jobs(request, job=None, part=None):
    """A job is asked for, is running once, then done. The kind `flaky` fails the first time."""
    client = request.client
    if job is None:
        told = request.json()
        kind = told.get("kind", "jsonl")
        if kind == "flaky":
            kind = "failing" if client.times("job flaky") == 0 else "jsonl"
        window = f"{told.get('from', '')}_{told.get('to', '')}".replace(":", "").replace("+", "")
        return Answer({"id": f"{kind}-{window}-{client.times(f'job {kind} {window}')}", "state": "queued", "token": "t1"}, 201)
    kind = job.split("-")[0]
    if part in ("abort", "delete"):
        client.times(f"deleted {kind}")
        return Answer({}, 200)
    if part is None:
        state = "running" if client.times(f"poll {job}") == 0 else {"failing": "failed", "none": "skipped"}.get(kind, "done")
        urls = [f"{request.url}/jobs/{job}/{one}" for one in ("0", "1")] if state == "done" else []
        return Answer({"id": job, "status": {"name": state}, "urls": urls, "result": {"file": f"{request.url}/jobs/{job}/0"}})
    if part == "targets":
        return Answer({"parts": [{"url": f"{request.url}/jobs/{job}/{one}"} for one in ("0", "1")]})
    if part == "pages":
        return by_offset(request, "short")
    records = [one for one in data.people("short") if one["id"] % 2 == int(part)]
    if kind == "csv":
        return Answer(data.as_csv(records), headers={"Content-Type": "text/csv"})
    if kind == "gzip":
        return Answer(data.packed(data.as_json_lines(records)), headers={"Content-Type": "application/gzip"})
    if kind == "json":
        return Answer({"data": records})
    return Answer(data.as_json_lines(records))


def objects(request, name=None):
    """What an application knows of itself: its objects, and what their fields are."""
    if name is None:
        return Answer({"objects": [{"name": "contacts", "title": "Contacts", "dataset": "few", "key": "id"}, {"name": "deals", "title": "Deals", "dataset": "one", "key": "email"}]})
    fields = [
        {"key": "id", "kind": "int"},
        {"key": "Name", "kind": "text"},
        {"key": "score", "kind": "float"},
        {"key": "tags", "kind": "many"},
        {"key": "city", "kind": "object"},
        {"key": "maybe", "kind": "optional"},
        {"key": "either", "kind": ["text", "null"]},
        {"key": "secret", "kind": "text", "hidden": True},
    ]
    return Answer({"object": name, "fields": fields})


def graphql(request):
    """People by a query in a body, as many as its variable says."""
    told = request.json()
    return Answer({"data": {"people": data.people("few")[: told.get("variables", {}).get("first", 100)], "asked": " ".join(told["query"].split())}})


def echo(request, *_rest):
    """The request as a record. What every library of HTTP adds by itself is left out."""
    kept = {name.lower(): value for name, value in request.headers.items() if name.lower().startswith("x-") or name.lower() in ("authorization", "content-type", "accept")}
    if kept.get("accept") == "*/*":
        del kept["accept"]
    body = request.body.decode()
    try:
        body = json.loads(body)
    except ValueError:
        pass
    return Answer({"data": [{"method": request.method, "path": "/".join(request.path), "query": request.query, "headers": kept, "body": body}]})


def door(request, kind, *rest):
    refused = doors.check(kind, request)
    return route(request, rest) if refused is None else Answer({"error": refused}, 401)


def token(request, kind):
    status, body = doors.issue(kind, request)
    return Answer(body, status, {"Content-Type": "application/xml"} if isinstance(body, bytes) and body.startswith(b"<") else {})


ROUTES = {
    "list": lists, "fault": fault, "events": event_list, "feed": feed, "numbers": numbers, "orgs": orgs,
    "search": search, "form": forms, "encoded": encoded, "jobs": jobs, "objects": objects, "graphql": graphql,
    "echo": echo, "door": door, "token": token,
}


def route(request, path):
    if not path or path[0] not in ROUTES:
        return Answer({"error": f"nothing at {path}"}, 404)
    return ROUTES[path[0]](request, *path[1:])


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Talk)
        self.clients, self.lock = {}, threading.Lock()

    def client(self, name):
        with self.lock:
            return self.clients.setdefault(name, Client())


class Talk(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def talk(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        url = urllib.parse.urlsplit(self.path)
        name, *path = [urllib.parse.unquote(part) for part in url.path.strip("/").split("/")]
        query = urllib.parse.parse_qs(url.query, keep_blank_values=True)
        base = f"http://127.0.0.1:{self.server.server_port}/{name}"
        request = Request(self.command, base, path, query, self.headers, body, self.server.client(name))
        request.here_exactly = f"http://127.0.0.1:{self.server.server_port}{self.path}"
        try:
            answer = route(request, path)
        except Exception as error:  # a request that nobody foresaw is the client's mistake, and is told as such
            answer = Answer({"error": f"{type(error).__name__}: {error}"}, 400)
        self.tell(answer)

    def tell(self, answer):
        body = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
        self.send_response(answer.status)
        for name, value in {"Content-Type": "application/json", **answer.headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = talk

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    server = Server()
    print(json.dumps({"base_url": f"http://127.0.0.1:{server.server_port}", "private_key": doors.private_pem()}), flush=True)
    threading.Thread(target=lambda: (sys.stdin.read(), server.shutdown()), daemon=True).start()
    if len(sys.argv) > 1:
        limit = threading.Timer(float(sys.argv[1]), server.shutdown)
        limit.daemon = True
        limit.start()
    server.serve_forever()
