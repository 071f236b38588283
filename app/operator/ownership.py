"""Which part of an object is ours: what server-side apply recorded, and so all that it could repair.

An object needs no apply where its part that is ours equals what we would apply. A field that another changed, or
removed, is not ours any more; what another added never was, and is left alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any, cast

import msgspec

from app.kubernetes import Object
from app.operator._labels import MANAGER

_IDENTITY = frozenset({"name", "namespace"})


def ours(body: Mapping[str, Any]) -> Object:
    """What we applied and nobody changed since."""
    for entry in cast("list[Object]", body["metadata"].get("managedFields") or ()):
        is_apply = entry.get("manager") == MANAGER and entry.get("operation") == "Apply"
        if is_apply and not entry.get("subresource"):
            return cast("Object", _chosen(body, entry.get("fieldsV1") or {}))
    return {}


def substance(manifest: Mapping[str, Any]) -> Object:
    """A manifest without what says which object it is: what `ours` is once it was applied."""
    metadata = {name: value for name, value in manifest["metadata"].items() if name not in _IDENTITY}
    rest = {name: value for name, value in manifest.items() if name not in ("apiVersion", "kind")}
    return {**rest, "metadata": metadata}


def digest(thing: Object) -> str:
    """The same for equal things, whatever the order of their fields."""
    return blake2b(msgspec.json.encode(thing, order="deterministic"), digest_size=12).hexdigest()


def _chosen(value: object, fields: Mapping[str, Any]) -> object:
    """What a set of fields, as the API server writes it, names of a value. No field named is all of it."""
    if not fields:
        return value
    if isinstance(value, Mapping):
        known = cast("Mapping[str, object]", value)
        named = ((name[2:], inner) for name, inner in fields.items() if name.startswith("f:"))
        return {name: _chosen(known[name], inner) for name, inner in named if name in known}
    if isinstance(value, Sequence) and not isinstance(value, str):
        items = cast("Sequence[object]", value)
        choices = [(name[0], json.loads(name[2:]), inner) for name, inner in fields.items() if name[1:2] == ":"]
        return [_chosen(item, inner) for item in items for kind, wanted, inner in choices if _is_it(item, kind, wanted)]
    return value


def _is_it(item: object, kind: str, wanted: Any) -> bool:
    """Whether an item of a list is the one that a key (`k`) or a value (`v`) names."""
    if kind == "v":
        return item == wanted
    if kind != "k" or not isinstance(item, Mapping):
        return False
    known = cast("Mapping[str, object]", item)
    return all(known.get(name) == value for name, value in wanted.items())
