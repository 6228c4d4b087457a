#!/usr/bin/env python3
"""Verifies deliveries as a receiver in Python would, with `standardwebhooks` from PyPI.

usage: verify.py [FILE]     (standard input without one; run it with target/peers/venv/bin/python)

Each line is one delivery as it came over the wire:
  {"headers": {...}, "body": "...", "secrets": ["whsec_..."], "public_key": "whpk_..." | null,
   "expect": "valid" | "invalid"}
`valid` means that every secret given verifies it alone, as a receiver that holds only that one
would see it, and so does the public key. `invalid` means that none of them does.

Exits 0 when all is as expected, 1 at the first delivery that is not, 2 when nothing could be shown.
"""
import base64
import json
import sys
import time

TOLERANCE_S = 5 * 60  # what the library allows a v1 timestamp; it knows no v1a, so we hold it to the same


class Refused(Exception):
    pass


def stop(text):
    print(f"verify.py: {text}", file=sys.stderr)
    sys.exit(2)


try:
    from standardwebhooks import Webhook
except ImportError:
    stop("the library standardwebhooks is missing; run tests/peers/install.sh and use target/peers/venv/bin/python")
try:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
except ImportError:
    Ed25519PublicKey = None


def verify_v1a(public_key, body, headers):
    """The library signs with HMAC only; Ed25519 is checked here as the specification writes it."""
    headers = {name.lower(): value for name, value in headers.items()}
    stamp = headers["webhook-timestamp"]
    if abs(time.time() - int(stamp)) > TOLERANCE_S:
        raise Refused("timestamp outside the tolerance")
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key.removeprefix("whpk_"), validate=True))
    signed = f"{headers['webhook-id']}.{stamp}.{body}".encode()
    for part in headers["webhook-signature"].split(" "):
        version, _, signature = part.partition(",")
        if version != "v1a":
            continue
        try:
            key.verify(base64.b64decode(signature, validate=True), signed)
            return
        except Exception:
            continue
    raise Refused("no v1a signature of this key")


def checks(delivery):
    """Pairs of a name for people and a call that raises when the delivery is refused."""
    body, headers = delivery["body"], delivery["headers"]
    for place, secret in enumerate(delivery["secrets"]):
        # A body need not be JSON to be signed (a GET has none), so it is not parsed.
        yield f"v1 with secret {place}", lambda secret=secret: Webhook(secret).verify(body, headers, json_parse=False)
    if delivery.get("public_key") and Ed25519PublicKey:
        yield "v1a", lambda: verify_v1a(delivery["public_key"], body, headers)


def main():
    lines = open(sys.argv[1], encoding="utf-8") if len(sys.argv) > 1 else sys.stdin
    verified = refused = v1a = skipped = 0
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        delivery = json.loads(line)
        if delivery["expect"] not in ("valid", "invalid"):
            stop(f"line {number}: expect is {delivery['expect']!r}, not valid or invalid")
        skipped += bool(delivery.get("public_key")) and Ed25519PublicKey is None
        done = 0
        for name, check in checks(delivery):
            try:
                check()
                outcome, why = "valid", "the signature is good"
            except Exception as error:  # the library raises more than one kind on malformed headers
                outcome, why = "invalid", f"{type(error).__name__}: {error}"
            done += 1
            v1a += name == "v1a"
            if outcome != delivery["expect"]:
                print(f"line {number}: {name}: expected {delivery['expect']}, found {outcome}: {why}")
                print(f"  headers: {json.dumps(delivery['headers'])}")
                sys.exit(1)
        if not done and not (delivery.get("public_key") and Ed25519PublicKey is None):
            stop(f"line {number}: neither a secret nor a public key to verify with")
        verified += done > 0 and delivery["expect"] == "valid"
        refused += done > 0 and delivery["expect"] == "invalid"
    if verified + refused == 0:
        stop("no delivery to verify")
    note = f" ({v1a} checks of v1a by cryptography)" if v1a else ""
    if skipped:
        note = f" (v1a NOT checked on {skipped}: the library cryptography is missing)"
    print(f"{verified} verified, {refused} refused as expected{note}")


if __name__ == "__main__":
    main()
