#!/usr/bin/env python3
"""Parses deliveries as a receiver of CloudEvents in Python would, with `cloudevents` from PyPI.

usage: events.py FILE     (run it with target/peers/venv/bin/python)

Each line is one delivery as it came over the wire, and what it has to say:
  {"headers": {...}, "body": "...", "expect": {"id", "source", "type", "subject", "data"}}

Exits 0 when all say what is expected, 1 at the first that does not, 2 when nothing could be shown.
"""
import json
import sys
from datetime import datetime

try:
    from cloudevents.core.bindings.http import HTTPMessage, from_http_event
except ImportError:
    print("events.py: the library cloudevents is missing; run tests/peers/install.sh", file=sys.stderr)
    sys.exit(2)


def main():
    parsed = binary = 0
    for number, line in enumerate(open(sys.argv[1], encoding="utf-8"), 1):
        delivery = json.loads(line)
        event = from_http_event(HTTPMessage(headers=delivery["headers"], body=delivery["body"].encode()))
        data = event.get_data()
        found = {
            "id": event.get_id(),
            "source": event.get_source(),
            "type": event.get_type(),
            "subject": event.get_subject(),
            "data": json.loads(data) if isinstance(data, (str, bytes)) else data,
        }
        if found != delivery["expect"]:
            print(f"line {number}: expected {json.dumps(delivery['expect'])}, found {json.dumps(found)}")
            sys.exit(1)
        if event.get_specversion() != "1.0" or not isinstance(event.get_time(), datetime):
            print(f"line {number}: specversion {event.get_specversion()!r}, time {event.get_time()!r}")
            sys.exit(1)
        parsed += 1
        binary += "ce-id" in delivery["headers"]
    print(f"{parsed} events parsed, {binary} of them binary")


if __name__ == "__main__":
    main()
