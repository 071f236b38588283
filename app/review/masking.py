"""Which values a summary may show. Rather one too few than one too many."""

import base64
import binascii
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import msgspec

from app.review.parse import Preview
from app.review.paths import Part

MASK = "[secret]"
# What the engine writes for a value that only the update will tell.
_UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
# Marks a secret value in a state: a constant of the engine's format.
_SIGNATURE_KEY = "4dabf18193072939515e22adb298388d"
_SECRET_KEY = re.compile(
    r"pass(word|wd|phrase)?|secret|token|credential|(api|access|private|account|encryption|request.?state).?key"
    r"|authorization|kubeconfig|dsn|connection.?string",
    re.IGNORECASE,
)
_HARMLESS_KEY = re.compile(r"(name|names|ref|refs|path|file|kind)$", re.IGNORECASE)
_USER_INFO = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*://)[^/\s@]*:[^/\s]*@", re.IGNORECASE)
_LONG_ENOUGH = 8


class Masking:
    """Knows every secret of one preview, so that none is shown where it has been copied to."""

    def __init__(self, preview: Preview) -> None:
        self._known: set[str] = set()
        for step in preview.steps or []:
            for state in (step.old_state, step.new_state):
                for properties in (state.inputs, state.outputs) if state else ():
                    self._learn(step.urn, properties or {})

    def shown(self, urn: str, path: Sequence[Part], properties: Mapping[str, Any], value: Any) -> str:
        """A value as text, or `[secret]`."""
        if is_secret(urn, path, properties) or _marked(value):
            return MASK
        text = value if isinstance(value, str) else msgspec.json.encode(_without_secrets(urn, path, value)).decode()
        if any(secret in text for secret in self._known):
            return MASK
        return _USER_INFO.sub(rf"\g<scheme>{MASK}@", text.replace(_UNKNOWN, "(not yet known)"))

    def _learn(self, urn: str, properties: Mapping[str, Any]) -> None:
        for path, value in _leaves(properties):
            if not isinstance(value, str) or len(value) < _LONG_ENOUGH or MASK in value:
                continue
            if is_secret(urn, path, properties):
                self._known.add(value)
                self._known |= {text for text in _decoded(value) if len(text) >= _LONG_ENOUGH}


def is_secret(urn: str, path: Sequence[Part], properties: Mapping[str, Any]) -> bool:
    """Whether what is at this path of a resource looks like a secret."""
    if ":Secret::" in urn and path and path[0] in ("data", "stringData"):
        return True
    names = [part for part in path if isinstance(part, str)]
    if any(_looks_secret(name) for name in names):
        return True
    # An entry of a list with a name of its own, such as a container's environment.
    holder: Any = properties
    for part in path:
        if isinstance(holder, Mapping):
            named = cast("Mapping[str, Any]", holder)
            if part == "value" and _looks_secret(str(named.get("name", ""))):
                return True
            holder = named.get(str(part))
        elif isinstance(holder, list) and isinstance(part, int) and part < len(cast("list[Any]", holder)):
            holder = cast("list[Any]", holder)[part]
    return False


def _looks_secret(name: str) -> bool:
    return _SECRET_KEY.search(name) is not None and _HARMLESS_KEY.search(name) is None


def _marked(value: Any) -> bool:
    return isinstance(value, Mapping) and _SIGNATURE_KEY in value


def _leaves(value: Any, above: tuple[Part, ...] = ()) -> Iterator[tuple[tuple[Part, ...], Any]]:
    if isinstance(value, Mapping):
        for key, item in cast("Mapping[str, Any]", value).items():
            yield from _leaves(item, (*above, key))
    elif isinstance(value, list):
        for position, item in enumerate(cast("list[Any]", value)):
            yield from _leaves(item, (*above, position))
    else:
        yield above, value


def _without_secrets(urn: str, path: Sequence[Part], value: Any) -> Any:
    """The same structure, with what looks secret inside it masked."""
    if isinstance(value, Mapping):
        items = cast("Mapping[str, Any]", value)
        if _marked(items):
            return MASK
        named_secret = _looks_secret(str(items.get("name", "")))
        return {
            key: MASK
            if _looks_secret(key) or (key == "value" and named_secret)
            else _without_secrets(urn, (*path, key), item)
            for key, item in items.items()
        }
    if isinstance(value, list):
        return [_without_secrets(urn, path, item) for item in cast("list[Any]", value)]
    return value


def _decoded(value: str) -> Iterator[str]:
    try:
        yield base64.b64decode(value, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return
