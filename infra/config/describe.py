"""Turn what pydantic found wrong into sentences with the key, the value, what is allowed and a suggestion."""

import difflib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from pydantic_core import ErrorDetails

from infra.config.errors import Problem
from infra.config.secrets import FIXED_SECRETS

_TYPE_NAMES: Final = {
    "int_type": "a whole number",
    "float_type": "a number",
    "finite_number": "a number",
    "bool_type": "true or false",
    "string_type": "text",
    "model_type": "a mapping of keys, {} for the defaults",
    "dict_type": "a mapping from names",
    "tuple_type": "a list",
}
_LONGEST_VALUE = 60
_SHORTEST_PREFIX = 2
# Their values are for programs, often credentials put in the wrong place: never repeated.
_UNREPEATED: Final = frozenset({"environment", "secretEnvironment", "args", "tokenSecret", "username"})
_CREDENTIALS: Final = re.compile(r"://[^/]*@")


def problem(error: ErrorDetails, schema: Mapping[str, Any]) -> Problem:
    """One error of pydantic as a problem. `schema` is the JSON schema of the model that was validated."""
    location = [part for part in error["loc"] if part != "[key]"]
    return Problem(render_path(location), _message(error, location, schema))


def render_path(location: Iterable[str | int]) -> str:
    """The path of a key as people write it: `servers.web.autoscaling.podMetrics[0].name`."""
    text = ""
    for part in location:
        if isinstance(part, int):
            text += f"[{part}]"
        elif part.replace("-", "").replace("_", "").isalnum() and part.isascii() and len(part) <= _LONGEST_VALUE:
            text += f".{part}" if text else part
        else:
            text += f"[{render_value(part)}]"
    return text


def render_value(value: object) -> str:
    """A value as the stack file shows it, shortened; only the shape of mappings and lists."""
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, str):
        shown = value if len(value) <= _LONGEST_VALUE else value[:_LONGEST_VALUE] + "…"
        return "'" + json.dumps(shown, ensure_ascii=False)[1:-1].replace('\\"', '"') + "'"
    text = json.dumps(value) if value is None or isinstance(value, bool | int | float) else type(value).__name__
    return text if len(text) <= _LONGEST_VALUE else text[:_LONGEST_VALUE] + "…"


def suggestion(text: str, candidates: Iterable[str]) -> str:
    """`; did you mean …?`, or nothing when no candidate is near."""
    by_fold = {candidate.lower().replace("_", ""): candidate for candidate in candidates}
    folded = text.lower().replace("_", "")[:100]
    near = difflib.get_close_matches(folded, list(by_fold), n=1, cutoff=0.6)
    near = near or [fold for fold in by_fold if len(fold) > _SHORTEST_PREFIX and folded.startswith(fold)]
    return f"; did you mean '{by_fold[near[0]]}'?" if near else ""


def _message(error: ErrorDetails, location: Sequence[str | int], schema: Mapping[str, Any]) -> str:
    kind = error["type"]
    if kind == "missing":
        description = node_at(location, schema).get("description", "a value")
        return f"missing; it is required: {description}"
    if kind == "extra_forbidden":
        return _unknown_key(location, schema)
    shown = "this value" if _telling(error["input"], location) else render_value(error["input"])
    if "[key]" in error["loc"]:
        shown = f"the name {render_value(location[-1])}"
    return f"{shown} is not allowed{_allowed(error, location, schema)}"


def _telling(value: object, location: Sequence[str | int]) -> bool:
    """Whether a value may hold credentials, by its place or because it is a URL with a user in it."""
    return bool(_UNREPEATED & set(location[1:])) or (isinstance(value, str) and _CREDENTIALS.search(value) is not None)


def _unknown_key(location: Sequence[str | int], schema: Mapping[str, Any]) -> str:
    known: list[str] = sorted(node_at(location[:-1], schema).get("properties", {}))
    if len(location) == 1:
        known = sorted([*known, *FIXED_SECRETS, "secrets"])
    near = suggestion(str(location[-1]), known)
    return f"unknown key{near}" if near else f"unknown key; allowed here: {', '.join(known)}"


def _allowed(error: ErrorDetails, location: Sequence[str | int], schema: Mapping[str, Any]) -> str:
    node = node_at(location, schema)
    context = error.get("ctx", {})
    match error["type"]:
        case "not_allowed":
            return f"; use {context['allowed']}"
        case "literal_error":
            options = [str(option) for option in node.get("enum", [])]
            near = suggestion(str(error["input"]), options)
            return f"; use one of {', '.join(options)}{near}"
        case "greater_than_equal" | "less_than_equal":
            return f"; use {_range(node)}"
        case "int_type" | "int_from_float" | "float_type" | "finite_number" if "minimum" in node:
            return f"; use {_range(node)}"
        case kind:
            return f"; use {_TYPE_NAMES[kind]}" if kind in _TYPE_NAMES else f": {error['msg']}"


def _range(node: Mapping[str, Any]) -> str:
    noun = "a whole number" if node.get("type") == "integer" else "a number"
    return f"{noun} from {node['minimum']} to {node['maximum']}"


def node_at(location: Sequence[str | int], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """The part of a JSON schema that describes the value at a path; empty where there is none."""
    node: Mapping[str, Any] = schema
    for part in location:
        node = _resolve(node, schema)
        if isinstance(part, int):
            node = node.get("items", {})
        else:
            below = node.get("properties", {}).get(part)
            node = below if below is not None else _additional(node)
    described = _resolve(node, schema)
    # A description beside a reference belongs to the field and says more than the one of its type.
    return {**described, "description": node["description"]} if "description" in node else described


def _additional(node: Mapping[str, Any]) -> Mapping[str, Any]:
    patterned: dict[str, Any] = node.get("patternProperties", {})
    return next(iter(patterned.values()), None) or node.get("additionalProperties") or {}


def _resolve(node: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    if "$ref" in node:
        return _resolve(schema["$defs"][node["$ref"].rsplit("/", 1)[-1]], schema)
    options = [option for option in node.get("anyOf", []) if option.get("type") != "null"]
    return _resolve(options[0], schema) if len(options) == 1 else node
