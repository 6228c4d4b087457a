#!/usr/bin/env python3
"""A small API with people in it, that docs/examples/address-book connects to. Nothing of it is Lockstep's.

usage: address_book.py     (any Python 3; it ends when its standard input does)

Its first line on standard output is its port on 127.0.0.1. All calls but one need the header `X-Book-Key: the-key`.
  GET    /me                          {"book": {"number": 7, "title": "…"}}
  GET    /people?size=&after=&since=  {"people": […], "after": "p2" or null}, by time of edit, at most three
  GET    /people?mail=                the same, of those with the address
  GET    /people/{key}                {"person": {"key", "mail", "name": {"given", "family"}, "tags", "edited"}} or 404
  POST   /people                      201 {"person": …}; 422 "this mail is taken"
  PATCH  /people/{key}                200 {"person": …}, or the same refusal; members that are not said stay
  POST   /subscribers                 {"target", "key"}: 201 {"subscriber": {"number"}}
  DELETE /subscribers/{number}        204
Subscribers get POST {"what": "edited" or "removed", "person": key}, with X-Book-Signature: sha256=HMAC of the body.
  POST   /by-hand/{key}               for tests, without a key: somebody edits a person, or removes it by {"gone": true}
"""
import hashlib
import hmac
import json
import sys
import threading
import urllib.request
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

PAGE_MAX = 3
lock = threading.Lock()
people, subscribers = {}, {}
edits = 0


def stamp():
    global edits
    edits += 1
    return (datetime(2026, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=edits)).strftime("%Y-%m-%dT%H:%M:%SZ")


def put(key, said):
    person = people.setdefault(key, {"key": key, "mail": None, "name": {}, "tags": []})
    person["name"] = {**person["name"], **said.pop("name", {})}
    person.update({name: value for name, value in said.items() if name in ("mail", "tags")}, edited=stamp())
    return person


def is_taken(key, mail):
    return mail is not None and any(person["mail"] == mail and person["key"] != key for person in people.values())


def tell(what, key):
    body = json.dumps({"what": what, "person": key}).encode()
    for subscriber in list(subscribers.values()):
        signature = hmac.new(subscriber["key"].encode(), body, hashlib.sha256).hexdigest()
        headers = {"content-type": "application/json", "x-book-signature": f"sha256={signature}"}
        urllib.request.urlopen(urllib.request.Request(subscriber["target"], data=body, headers=headers), timeout=10)


class Book(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body=None):
        body = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def handle_call(self):
        said = json.loads(self.rfile.read(int(self.headers.get("content-length") or 0)) or "{}")
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        collection, _, key = url.path.lstrip("/").partition("/")
        if collection == "by-hand":
            with lock:
                people.pop(key) if said.pop("gone", False) else put(key, said)
            tell("edited" if key in people else "removed", key)
            return self.answer(200, {})
        if self.headers.get("X-Book-Key") != "the-key":
            return self.answer(401, {"message": "no such key"})
        with lock:
            self.answer(*self.answered(collection, key, query, said))

    def answered(self, collection, key, query, said):
        match (self.command, collection, bool(key)):
            case ("GET", "me", False):
                return 200, {"book": {"number": 7, "title": "The address book"}}
            case ("GET", "people", False):
                return 200, self.listed(query)
            case ("GET" | "PATCH", "people", True) if key not in people:
                return 404, {"message": "no such person"}
            case ("GET", "people", True):
                return 200, {"person": people[key]}
            case ("POST" | "PATCH", "people", _) if is_taken(key, said.get("mail")):
                return 422, {"message": "this mail is taken"}
            case ("POST", "people", False):
                return 201, {"person": put(f"n{edits + 1}", said)}
            case ("PATCH", "people", True):
                return 200, {"person": put(key, said)}
            case ("POST", "subscribers", False):
                number = len(subscribers) + 1
                subscribers[str(number)] = said
                return 201, {"subscriber": {"number": number}}
            case ("DELETE", "subscribers", True) if subscribers.pop(key, None):
                return 204, None
        return 404, {"message": "no such page"}

    def listed(self, query):
        def is_meant(person):
            return person["edited"] >= query.get("since", "") and person["mail"] == query.get("mail", person["mail"])

        found = sorted(filter(is_meant, people.values()), key=lambda person: person["edited"])
        keys = [person["key"] for person in found]
        begin = keys.index(query["after"]) + 1 if query.get("after") in keys else 0
        page = found[begin : begin + min(int(query.get("size", PAGE_MAX)), PAGE_MAX)]
        return {"people": page, "after": page[-1]["key"] if begin + len(page) < len(found) else None}

    do_GET = do_POST = do_PATCH = do_DELETE = handle_call


if __name__ == "__main__":
    http = ThreadingHTTPServer(("127.0.0.1", 0), Book)
    print(http.server_port, flush=True)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    sys.stdin.read()
