"""What changed: between two versions of an object's inputs, and between its inputs and the cluster."""

import copy
from collections.abc import Iterator
from typing import Any

from engine.plugins.kube import kinds, naming
from engine.plugins.wire import Path, at, shown
from pulumi.runtime.proto import provider_pb2

Kind = provider_pb2.PropertyDiff
REPLACING = {Kind.ADD: Kind.ADD_REPLACE, Kind.DELETE: Kind.DELETE_REPLACE, Kind.UPDATE: Kind.UPDATE_REPLACE}
_NOTHING = object()


def differences(old: Any, new: Any, path: Path = ()) -> Iterator[tuple[Path, int]]:
    """Every path at which two values differ, and how."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*old, *(key for key in new if key not in old)]:
            yield from differences(old.get(key, _NOTHING), new.get(key, _NOTHING), (*path, key))
    elif isinstance(old, list) and isinstance(new, list):
        for index in range(max(len(old), len(new))):
            yield from differences(_item(old, index), _item(new, index), (*path, index))
    elif old is _NOTHING:
        yield path, Kind.ADD
    elif new is _NOTHING:
        yield path, Kind.DELETE
    elif old != new:
        yield path, Kind.UPDATE


def _item(values: list[Any], index: int) -> Any:
    return values[index] if index < len(values) else _NOTHING


def answer(old: dict[str, Any], new: dict[str, Any], ignored: list[str], refused: set[str]) -> Any:
    """The diff for the engine. `refused` are fields that the API server would not change in place."""
    detailed: dict[str, Any] = {}
    replaces: list[str] = []
    for path, kind in differences(old, new):
        text = shown(path)
        if any(text == ignore or text.startswith((f"{ignore}.", f"{ignore}[")) for ignore in ignored):
            continue
        replacing = kinds.replaces(new, path) or any(text == field or text.startswith(f"{field}.") for field in refused)
        detailed[text] = Kind(kind=REPLACING[kind] if replacing else kind, inputDiff=True)
        if replacing:
            replaces.append(text)
    diff = provider_pb2.DiffResponse
    same_name = at(old, ("metadata", "name")) == at(new, ("metadata", "name"))
    same_space = at(old, ("metadata", "namespace")) == at(new, ("metadata", "namespace"))
    return diff(
        changes=diff.DIFF_SOME if detailed else diff.DIFF_NONE,
        replaces=replaces,
        diffs=sorted({str(path[0]) for path, _ in differences(old, new)}),
        detailedDiff=detailed,
        hasDetailedDiff=True,
        # Two objects of one name cannot be there at once. A generated name is made anew for the new object.
        deleteBeforeReplace=bool(replaces) and same_name and same_space and not naming.is_generated(new),
    )


def drifted(inputs: dict[str, Any], wanted: dict[str, Any], live: dict[str, Any]) -> dict[str, Any]:
    """The inputs as the cluster has them now: every field that was changed by another hand, with its value there.

    `wanted` is what the API server would make of the inputs, so that `50m` and `0.05` are one value.
    """
    return _drifted(copy.deepcopy(inputs), wanted, live)


def _drifted(inputs: Any, wanted: Any, live: Any) -> Any:
    if isinstance(inputs, dict) and isinstance(wanted, dict) and isinstance(live, dict):
        for key in list(inputs):
            if key in wanted and key not in live:
                del inputs[key]
            elif key in wanted:
                inputs[key] = _drifted(inputs[key], wanted[key], live[key])
        return inputs
    if wanted == live:
        return inputs
    if isinstance(inputs, list) and isinstance(live, list) and len(inputs) == len(wanted) == len(live):
        return [_drifted(*values) for values in zip(inputs, wanted, live, strict=True)]
    return copy.deepcopy(live)
