#!/usr/bin/env python3
"""Holds the manifests here to all that crates/manifest reads: each component, each field, each word.

usage: covered.py     (run it with target/peers/airbyte/bin/python; it ends with 0 where nothing is missing)

The list is read out of `component!`, `one_of!` and `words!` in crates/manifest/src/components; what the manifests use,
with `$ref` and missing types filled in, comes from the CDK (reference.py, command `components`).
"""
import json
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

HERE = Path(__file__).resolve().parent
COMPONENTS = HERE.parents[1] / "crates/manifest/src/components"

# What a component is called in manifests, where that is neither its name nor said by `one_of!`: the format's name, or
# the field that it stands in, where the format gives it none.
CALLED = {
    "AddedField": "AddedFieldDefinition", "ComponentMapping": "ComponentMappingDefinition",
    "ConfigNormalization": "ConfigNormalizationRules", "HttpApiBudget": "HTTPAPIBudget",
    "StreamParameters": "StreamParametersDefinition", "AsyncJobStatusMap": "status_mapping", "Clamping": "clamping",
    "ComplexFieldType": "target_type", "JwtHeaders": "jwt_headers", "JwtPayload": "jwt_payload",
    "RefreshTokenUpdater": "refresh_token_updater", "RequestMatcher": "matchers",
    "SchemaTypeIdentifier": "schema_type_identifier",
}


def blocks(macro, text):
    return [found[1] for found in re.finditer(rf"^{macro}! \{{\n(.*?)^\}}", text, re.S | re.M)]


def read():
    """Fields by component, names by component, and words."""
    fields, names, words = {}, defaultdict(set), set()
    for path in sorted(COMPONENTS.glob("*.rs")):
        text = re.sub(r"//[^\n]*", "", path.read_text())
        for block in blocks("component", text):
            for found in re.finditer(r"^    (\w+) \{(?:\}|\n(.*?)^    \})", block, re.S | re.M):
                # A field of type `Absent` is refused wherever it stands.
                fields[found[1]] = re.findall(r"^        (\w+): (?!Absent)", found[2] or "", re.M)
        for block in blocks("one_of", text):
            for found in re.finditer(r'^        (\w+)(?: as "(\w+)")?\s*\((?:Box<)?(\w+)>?\),', block, re.M):
                names[found[3]].add(found[2] or found[1])
        for block in blocks("words", text):
            words |= set(re.findall(r'= "([^"]+)"', block))
    return fields, names, words


def used():
    folders = sorted((HERE / "manifests").iterdir())
    jobs = "".join(json.dumps({"id": path.name, "dir": str(path), "command": "components"}) + "\n" for path in folders)
    done = subprocess.run([sys.executable, str(HERE / "reference.py")], input=jobs, capture_output=True, text=True, check=True)
    pairs = set()
    for told in map(json.loads, done.stdout.splitlines()):
        if told["error"]:
            sys.exit(f"{told['id']}: {told['error']}")
        pairs |= {tuple(pair) for line in told["lines"] for pair in json.loads(line)}
    return pairs, "".join((path / "manifest.yaml").read_text() for path in folders)


def main():
    fields, names, words = read()
    pairs, texts = used()
    missing = []
    for component, known in sorted(fields.items()):
        called = names.get(component) or {CALLED.get(component, component)}
        missing += [f"{name}: no manifest uses it" for name in sorted(called) if (name, "") not in pairs]
        missing += [f"{component}.{field}: no manifest says it" for field in known if not any((name, field) in pairs for name in called)]
    missing += [f"{word}: no manifest says it" for word in sorted(words) if not re.search(rf"\b{re.escape(word)}\b", texts)]
    print("\n".join([*missing, f"{len(fields)} components, {sum(map(len, fields.values()))} fields, {len(words)} words; {len(missing)} missing"]))
    sys.exit(1 if missing or len(fields) < 80 else 0)


if __name__ == "__main__":
    main()
