"""What Airbyte's own interpolation answers, for the table of crates/expr/tests/it/interpolation.jsonl.

Reads JSON lines {"template", "context", "now"} from the file named, prints them with what airbyte-cdk returns added:
"eval" (or "error", or "mismatch" where a TypeError made it return the template itself), "text" and "true". The clock
of its macros stands still at "now" (default 2024-03-10T12:30:45.123456Z).

    pip install airbyte-cdk==7.39.1
    python tests/peers/interpolation.py templates.jsonl > crates/expr/tests/it/interpolation.jsonl
"""

import datetime as real
import json
import math
import sys
import types

from airbyte_cdk.sources.declarative.interpolation import jinja, macros
from airbyte_cdk.sources.declarative.interpolation.interpolated_boolean import InterpolatedBoolean
from airbyte_cdk.sources.declarative.interpolation.jinja import JinjaInterpolation

NOW = "2024-03-10T12:30:45.123456+00:00"


class Asked(type):
    def __instancecheck__(cls, value):
        return isinstance(value, real.datetime)


class Still(real.datetime, metaclass=Asked):
    """A datetime whose now() does not move."""

    at = None

    @classmethod
    def now(cls, tz=None):
        return cls.at.astimezone(tz)


def plain(value):
    """The value as JSON has it."""
    if isinstance(value, dict):
        return {json_key(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [plain(item) for item in value]
    return value


def json_key(key):
    return key if isinstance(key, str) else next(iter(json.loads(json.dumps({key: 0}))))


def is_held(value):
    """Whether JSON has a place for the value; bytes, infinities and integers beyond 64 bits have none."""
    if isinstance(value, dict):
        return all(is_held(item) for item in value.values())
    if isinstance(value, list):
        return all(is_held(item) for item in value)
    if isinstance(value, int):
        return -(2**63) <= value < 2**64
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or isinstance(value, str)


def answer(line):
    case = json.loads(line)
    Still.at = real.datetime.fromisoformat(case.get("now", NOW))
    context = dict(case.get("context", {}))
    config = context.pop("config", {})
    template = case["template"]
    try:
        case["eval"] = plain(JinjaInterpolation().eval(template, config, **context))
        case["text"] = JinjaInterpolation().eval(template, config, valid_types=(str,), **context)
        if case["eval"] == template and "{" in template and case["eval"] == case["text"]:
            rendered = jinja._ENVIRONMENT.from_string(template)
            try:
                if rendered.render({"config": config, **context}) != template:
                    raise TypeError
            except TypeError:
                del case["eval"], case["text"]
                case["mismatch"] = True
        if not is_held(case.get("eval")):
            # Ours stays text where JSON has no place for the value.
            case["eval"] = case["text"]
        if not isinstance(case.get("text", ""), str):
            # Nothing: the reference returns None, or the text "None" read again.
            case["text"] = ""
        case["true"] = InterpolatedBoolean(template, context.pop("parameters", {})).eval(config, **context)
    except Exception as error:  # whatever it raises is the answer
        case = {key: case[key] for key in ("template", "context", "now") if key in case}
        case["error"] = type(error).__name__
    return json.dumps(case, ensure_ascii=False)


if __name__ == "__main__":
    macros.datetime = types.SimpleNamespace(
        datetime=Still, date=real.date, timedelta=real.timedelta, timezone=real.timezone
    )
    with open(sys.argv[1], encoding="utf-8") as lines:
        for line in lines:
            if line.strip():
                print(answer(line))
