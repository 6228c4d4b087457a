"""What Python's csv.DictReader and xmltodict make of small files drawn from a seed, a JSON line each.

    python tests/peers/files.py SEED COUNT > crates/files/tests/it/peers.jsonl

Needs xmltodict. A line is {kind, text, expected}; expected is null where Python refuses the text. Rows of csv with
more cells than names are left out: there we differ on purpose.
"""

import csv
import io
import json
import random
import sys

import xmltodict

VALUES = ['"1"', "'x &amp; y'", '"&#65;\n b"', "''"]


def draw_csv(chance):
    pieces = ["a", "b", "1", " ", ",", ",", "\n", "\n", "\r\n", '"', '""', "é", "x y", ";"]
    names = chance.choice(["a,b,c", 'a,"b b"', "é,b,,d"])
    return names + "\n" + "".join(chance.choice(pieces) for _ in range(chance.randrange(24)))


def read_csv(text):
    rows = list(csv.DictReader(io.TextIOWrapper(io.BytesIO(text.encode()), encoding="utf-8")))
    return None if any(None in row for row in rows) else rows


def draw_element(chance, depth):
    name = chance.choice(["a", "b", "n:c", "d-e"])
    attributes = "".join(
        f" {key}={chance.choice(VALUES)}"
        for key in chance.sample(["id", "n:k", "xmlns:n"], chance.randrange(3))
    )
    if chance.random() < 0.2:
        return f"<{name}{attributes}/>"
    inside = []
    for _ in range(chance.randrange(4) if depth < 4 else 0):
        inside.append(
            draw_element(chance, depth + 1)
            if chance.random() < 0.55
            else chance.choice(
                ["text", " \n ", "&lt;b&gt;", "<![CDATA[<x> & ]]>", "<!-- no -->", "<?pi x?>", "&#x20AC;", "é", "a\r\nb", "]"]
            )
        )
    end = chance.choice([name] * 40 + ["z", name + " "])
    return f"<{name}{attributes}>{''.join(inside)}</{end}>"


def draw_xml(chance):
    head = chance.choice(["", '<?xml version="1.0"?>', "<!DOCTYPE a [<!ENTITY e 'v'>]>\n", "<!-- c -->\n"])
    tail = chance.choice([""] * 12 + ["\n", "<a/>", "rest", "&unknown;"])
    return head + draw_element(chance, 0) + tail


def read_xml(text):
    try:
        return xmltodict.parse(text)
    except Exception:
        return None


def main():
    seed, count = int(sys.argv[1]), int(sys.argv[2])
    chance = random.Random(seed)
    written = 0
    while written < count:
        kind = "csv" if written % 2 else "xml"
        text = draw_csv(chance) if kind == "csv" else draw_xml(chance)
        expected = read_csv(text) if kind == "csv" else read_xml(text)
        if kind == "csv" and expected is None:
            continue
        print(json.dumps({"kind": kind, "text": text, "expected": expected}, ensure_ascii=False))
        written += 1


main()
