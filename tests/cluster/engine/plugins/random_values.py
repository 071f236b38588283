"""A stand-in for the `random` plugin: values that are made once and stay until their inputs change."""

import base64
import secrets
import string
import uuid
from collections.abc import Callable
from typing import Any

from engine.plugins import wire
from engine.plugins.base import StandIn, difference, failures
from engine.plugins.wire import UNKNOWN
from google.protobuf import empty_pb2
from pulumi.runtime.proto import provider_pb2

SPECIAL = "!@#$%&*()-_=+[]{}<>:?"
CLASSES = (
    ("lower", "minLower", string.ascii_lowercase),
    ("upper", "minUpper", string.ascii_uppercase),
    ("numeric", "minNumeric", string.digits),
    ("special", "minSpecial", SPECIAL),
)


def password(inputs: dict[str, Any]) -> dict[str, Any]:
    """Characters of the wanted classes, with at least so many of each. The official one hashes them too."""
    wanted = []
    for switch, minimum, alphabet in CLASSES:
        letters = inputs.get("overrideSpecial") or alphabet if switch == "special" else alphabet
        if inputs.get(switch, True):
            wanted.append((letters, inputs.get(minimum, 0)))
    drawn = [secrets.choice(letters) for letters, minimum in wanted for _ in range(minimum)]
    everything = "".join(letters for letters, _ in wanted)
    drawn += [secrets.choice(everything) for _ in range(inputs["length"] - len(drawn))]
    secrets.SystemRandom().shuffle(drawn)
    return {"id": "none", "result": "".join(drawn)}


def random_bytes(inputs: dict[str, Any]) -> dict[str, Any]:
    value = secrets.token_bytes(inputs["length"])
    encoded = base64.b64encode(value).decode()
    return {"id": encoded, "base64": encoded, "hex": value.hex()}


def random_id(inputs: dict[str, Any]) -> dict[str, Any]:
    value = secrets.token_bytes(inputs["byteLength"])
    prefix = inputs.get("prefix", "")
    url = base64.urlsafe_b64encode(value).decode().rstrip("=")
    number = str(int.from_bytes(value, "big"))
    standard = base64.b64encode(value).decode()
    made = {"b64Std": prefix + standard, "b64Url": prefix + url, "hex": prefix + value.hex(), "dec": prefix + number}
    return {"id": url, **made}


def random_uuid(inputs: dict[str, Any]) -> dict[str, Any]:
    value = str(uuid.uuid4())
    return {"id": value, "result": value}


# How each is made, which of its outputs exist before the update only as unknowns, and whether those are secret.
KINDS: dict[str, tuple[Callable[[dict[str, Any]], dict[str, Any]], tuple[str, ...], bool]] = {
    "random:index/randomPassword:RandomPassword": (password, ("result",), True),
    "random:index/randomString:RandomString": (password, ("result",), False),
    "random:index/randomBytes:RandomBytes": (random_bytes, ("base64", "hex"), True),
    "random:index/randomId:RandomId": (random_id, ("b64Std", "b64Url", "hex", "dec"), False),
    "random:index/randomUuid:RandomUuid": (random_uuid, ("result",), False),
}


class RandomStandIn(StandIn):
    """Random values. Every changed input makes a new one, as officially."""

    name = "random"

    def Check(self, request: Any, context: Any) -> Any:  # noqa: N802 - the protocol's names, here and below
        known = request.type in KINDS
        why = f"the stand-in for the random plugin does not know {request.type}"
        return provider_pb2.CheckResponse(inputs=request.news, failures=[] if known else failures(("", why)))

    def Diff(self, request: Any, context: Any) -> Any:  # noqa: N802
        old, new = wire.decode(request.old_inputs).plain, wire.decode(request.news).plain
        return difference(old, new, {*old, *new})

    def Create(self, request: Any, context: Any) -> Any:  # noqa: N802
        inputs = wire.decode(request.properties)
        make, values, secret = KINDS[request.type]
        made = dict.fromkeys(values, UNKNOWN) if request.preview else make(inputs.plain)
        identity = made.pop("id", "")
        hidden = inputs.secrets | ({(key,) for key in values} if secret else set())
        state = wire.encode({**inputs.plain, **made}, hidden)
        return provider_pb2.CreateResponse(id=identity, properties=state)

    def Read(self, request: Any, context: Any) -> Any:  # noqa: N802
        return provider_pb2.ReadResponse(id=request.id, properties=request.properties, inputs=request.inputs)

    def Delete(self, request: Any, context: Any) -> Any:  # noqa: N802
        return empty_pb2.Empty()
