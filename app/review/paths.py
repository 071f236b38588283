"""Property paths as the engine writes them: `spec.containers[0].env`, `data["a.b"]`."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

Part = str | int
_PART = re.compile(r'\["((?:[^"\\]|\\.)*)"\]|\[(\d+)\]|([^.\[]+)')


def split(path: str) -> tuple[Part, ...]:
    """The keys and positions that lead to a property."""
    parts: list[Part] = []
    for quoted, position, plain in _PART.findall(path):
        parts.append(int(position) if position else plain or re.sub(r"\\(.)", r"\1", quoted))
    return tuple(parts)


def join(parts: Sequence[Part]) -> str:
    """The reverse of `split`."""
    text = ""
    for part in parts:
        if isinstance(part, int):
            text += f"[{part}]"
        elif re.fullmatch(r"[A-Za-z_$][\w$-]*", part):
            text += f".{part}" if text else part
        else:
            escaped = part.replace("\\", "\\\\").replace('"', '\\"')
            text += f'["{escaped}"]'
    return text


def at(value: Any, parts: Sequence[Part]) -> Any:
    """What is at a path, or None."""
    for part in parts:
        if isinstance(value, Mapping):
            value = cast("Mapping[str, Any]", value).get(str(part))
        elif isinstance(value, list) and isinstance(part, int) and part < len(cast("list[Any]", value)):
            value = cast("list[Any]", value)[part]
        else:
            return None
    return value


def differences(old: Any, new: Any, above: tuple[Part, ...] = ()) -> Iterator[tuple[Part, ...]]:
    """The paths at which two values differ, as deep as both have them."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        before, after = cast("Mapping[str, Any]", old), cast("Mapping[str, Any]", new)
        for key in dict.fromkeys((*before, *after)):
            yield from differences(before.get(key), after.get(key), (*above, key))
    elif isinstance(old, list) and isinstance(new, list) and len(cast("list[Any]", old)) == len(cast("list[Any]", new)):
        for position, (before, after) in enumerate(zip(cast("list[Any]", old), cast("list[Any]", new), strict=True)):
            yield from differences(before, after, (*above, position))
    elif old != new:
        yield above
