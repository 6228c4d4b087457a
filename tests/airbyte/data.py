"""Records of the adversarial API, and the forms they are sent in. Nothing here knows of requests.

All of it follows from a name, a number and the seed: two runtimes that ask the same get the same.
"""
import csv
import datetime
import gzip
import io
import json
import os
import zipfile

SEED = int(os.environ.get("LOCKSTEP_AIRBYTE_SEED", "0"))
SCALE = int(os.environ.get("LOCKSTEP_AIRBYTE_SCALE", "1"))
UTC = datetime.timezone.utc
BEGINNING = datetime.datetime(2024, 1, 1, tzinfo=UTC)
PAGE = 10

# A format's name in a URL, and how an instant is written in it. The reading way round is `instant`.
FORMATS = {
    "s": lambda at: int(at.timestamp()),
    "s_text": lambda at: str(int(at.timestamp())),
    "s_float": lambda at: at.timestamp(),
    "ms": lambda at: int(at.timestamp() * 1_000),
    "us": lambda at: int(at.timestamp() * 1_000_000),
    "z": lambda at: at.strftime("%Y-%m-%dT%H:%M:%SZ"),
    "ms_z": lambda at: at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1_000:03}Z",
    "us_z": lambda at: at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
    "offset": lambda at: at.strftime("%Y-%m-%dT%H:%M:%S+0000"),
    "east": lambda at: at.astimezone(datetime.timezone(datetime.timedelta(hours=2))).strftime("%Y-%m-%dT%H:%M:%S%z"),
    "naive": lambda at: at.strftime("%Y-%m-%dT%H:%M:%S"),
    "space": lambda at: at.strftime("%Y-%m-%d %H:%M:%S"),
    "day": lambda at: at.strftime("%Y-%m-%d"),
    "us_day": lambda at: at.strftime("%m/%d/%Y"),
    "month": lambda at: at.strftime("%Y-%m"),
    "compact": lambda at: at.strftime("%Y%m%d"),
    "words": lambda at: at.strftime("%d %b %Y %H:%M:%S"),
}


def instant(text, form):
    """The instant that a parameter names, None where it is missing."""
    if text in (None, ""):
        return None
    divisor = {"s": 1, "s_text": 1, "s_float": 1, "ms": 1_000, "us": 1_000_000}.get(form)
    if divisor:
        return datetime.datetime.fromtimestamp(float(text) / divisor, UTC)
    formats = {
        "us_day": "%m/%d/%Y", "month": "%Y-%m", "compact": "%Y%m%d", "words": "%d %b %Y %H:%M:%S",
    }
    if form in formats:
        return datetime.datetime.strptime(text, formats[form]).replace(tzinfo=UTC)
    at = datetime.datetime.fromisoformat(text.replace(" ", "T", 1))
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def person(number):
    """A record with a bit of each kind of value."""
    return {
        "id": number,
        "name": f"Person {number} é€\u00a0{'x' * (number % 3)}",
        "email": f"Person.{number}@Example.com",
        "active": number % 3 == 0,
        "score": number * 1.5,
        "big": 9_007_199_254_740_993 + number,
        "text_number": str(number),
        "group": ["red", "green", "blue"][number % 3],
        "note": None if number % 4 == 0 else "",
        "Mixed Case": number,
        "home.city": "dotted",
        "nested": {
            "city": {"name": f"City {number % 7}", "zip": f"{number:05}"},
            "tags": [{"label": f"t{one}"} for one in range(number % 4)],
            "empty": {},
        },
        "items": [{"sku": f"{number}-{one}", "count": one} for one in range(number % 3)],
    }


def size(dataset):
    """How many records a dataset has. `full` ends with a full page, `short` does not, whatever the seed."""
    sizes = {
        "full": 3 * PAGE * SCALE,
        "short": 2 * PAGE * SCALE + 1 + SEED % (PAGE - 1),
        "one": 1,
        "empty": 0,
        "few": 3 + SEED % 3,
        "growing": 3 * PAGE * SCALE + SEED % PAGE,
        "repeats": 3 * PAGE * SCALE,
        "bulk": 1_000 * SCALE,
    }
    return sizes[dataset]


def people(dataset):
    return [person(number) for number in range(1, size(dataset) + 1)]


def at(number):
    """When record `number` came: every seven hours and some, with a fraction of a second."""
    return BEGINNING + datetime.timedelta(hours=7 * number, seconds=(number * 37 + SEED) % 60, milliseconds=number % 1_000)


def events(form, count=120):
    """Records with an instant, oldest first; the instant stands at the top and inside."""
    made = []
    for number in range(1, count * SCALE + 1):
        when = at(number)
        when = instant(str(FORMATS[form](when)), form)  # no finer than it is written
        made.append((when, {"id": number, "at": FORMATS[form](when), "meta": {"at": FORMATS[form](when)}, "kind": number % 5}))
    return made


def as_json_lines(records):
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records).encode()


def as_csv(records, delimiter=",", encoding="utf-8"):
    out = io.StringIO()
    rows = csv.writer(out, delimiter=delimiter)
    rows.writerow(["id", "name", "remark", "empty"])
    for record in records:
        rows.writerow([record["id"], record["name"].replace("€", "E"), f'said "{record["group"]}"{delimiter} and\nmore', "NA" if record["id"] % 2 else ""])
    return out.getvalue().encode(encoding)


def as_xml(records):
    rows = "".join(
        f'<person id="{record["id"]}"><name>{record["name"]}</name><group kind="colour">{record["group"]}</group>'
        f'<tag>a &amp; b</tag><tag>c</tag><none/></person>'
        for record in records
    )
    return f'<?xml version="1.0" encoding="utf-8"?><answer><people>{rows}</people></answer>'.encode()


def as_lines(records):
    return "".join(f"{record['email']}\n" for record in records).encode()


def packed(body):
    return gzip.compress(body, mtime=0)


def zipped(parts):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in parts.items():
            archive.writestr(zipfile.ZipInfo(name, (2024, 1, 1, 0, 0, 0)), body)
    return out.getvalue()
