"""Property values as the engine sends them, and as the stand-ins work with them.

Secrets travel as marked structures. Here they are kept apart: a plain value, and the paths in it that are secret. What
is not known before an update is `UNKNOWN`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from google.protobuf import json_format, struct_pb2

# Constants of the wire format, not credentials.
SIGNATURE = "4dabf18193072939515e22adb298388d"
SECRET = "1b47061264138c4ac30d75fd1eb44270"
RESOURCE = "5cf8f73096256a8f31e491e813e4eb8e"
OUTPUT = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
UNKNOWN_TEXT = frozenset(
    {
        "04da6b54-80e4-46f7-96ec-b56ff0331ba9",
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",
        "030794c1-ac77-496b-92df-f27374a8bd58",
        "e48ece36-62e2-4504-bad9-02848725956a",
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",
    }
)
UNKNOWN_WIRE = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"

Path = tuple[str | int, ...]


class Unknown:
    """A value that only an update can tell. There is one: `UNKNOWN`."""

    def __repr__(self) -> str:
        return "<unknown>"

    def __deepcopy__(self, memo: object) -> "Unknown":
        return self


UNKNOWN = Unknown()


@dataclass
class Properties:
    """A plain value and the paths in it that are secret."""

    plain: dict[str, Any] = field(default_factory=dict)
    secrets: set[Path] = field(default_factory=set)

    @property
    def complete(self) -> bool:
        """Whether nothing in it is unknown."""
        return not has_unknown(self.plain)

    def is_secret(self, path: Path) -> bool:
        return any(path[: len(secret)] == secret for secret in self.secrets)


def decode(message: struct_pb2.Struct) -> Properties:
    """What the engine sent."""
    found = Properties()
    found.plain = _decoded(json_format.MessageToDict(message), (), found.secrets)
    return found


def _decoded(value: Any, path: Path, secrets: set[Path]) -> Any:
    if isinstance(value, dict):
        mark = value.get(SIGNATURE)
        if mark == SECRET:
            secrets.add(path)
            return _decoded(value.get("value"), path, secrets)
        if mark == OUTPUT:
            if value.get("secret"):
                secrets.add(path)
            return _decoded(value["value"], path, secrets) if "value" in value else UNKNOWN
        if mark == RESOURCE:
            return value.get("id", "")
        return {key: _decoded(item, (*path, key), secrets) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_decoded(item, (*path, index), secrets) for index, item in enumerate(value)]
    if isinstance(value, str) and value in UNKNOWN_TEXT:
        return UNKNOWN
    # JSON has one kind of number; the API server refuses 3.0 where it wants 3.
    return int(value) if isinstance(value, float) and value.is_integer() else value


def encode(plain: dict[str, Any], secrets: Iterable[Path] = ()) -> struct_pb2.Struct:
    """What the engine is sent: the secret paths that are in the value marked, the others passed over."""
    message = struct_pb2.Struct()
    json_format.ParseDict(_encoded(plain, (), frozenset(secrets)), message)
    return message


def _encoded(value: Any, path: Path, secrets: frozenset[Path]) -> Any:
    if isinstance(value, dict):
        sent: Any = {key: _encoded(item, (*path, key), secrets) for key, item in value.items()}
    elif isinstance(value, list):
        sent = [_encoded(item, (*path, index), secrets) for index, item in enumerate(value)]
    else:
        sent = UNKNOWN_WIRE if value is UNKNOWN else value
    return {SIGNATURE: SECRET, "value": sent} if path in secrets else sent


def has_unknown(value: Any) -> bool:
    if isinstance(value, dict):
        return any(has_unknown(item) for item in value.values())
    if isinstance(value, list):
        return any(has_unknown(item) for item in value)
    return value is UNKNOWN


def at(value: Any, path: Path) -> Any:
    """What is at a path, or None."""
    for step in path:
        if isinstance(value, dict) and isinstance(step, str):
            value = value.get(step)
        elif isinstance(value, list) and isinstance(step, int) and step < len(value):
            value = value[step]
        else:
            return None
    return value


def shown(path: Path) -> str:
    """A path as the engine writes it: `spec.containers[0].image`, `metadata.labels["app.kubernetes.io/name"]`."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif step.replace("_", "a").replace("-", "a").isalnum():
            text += f".{step}" if text else step
        else:
            text += f'["{step}"]'
    return text
