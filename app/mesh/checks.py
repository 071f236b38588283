"""What an agent may tell: every field is looked at here, once, before anything is kept."""

from __future__ import annotations

import re
from typing import cast

import msgspec

from app.mesh.model import (
    Ability,
    Capability,
    Dependency,
    Profile,
    Record,
    Registration,
    agent_id,
    content_digest,
    same,
    secret_digest,
    shared,
)
from app.mesh.problems import Problem, invalid
from app.mesh.versions import VersionError, parse_range, parse_version

MAX_CAPABILITIES = 64
MAX_DEPENDENCIES = 64
MAX_TAGS = 16
MAX_METADATA = 32
MAX_SCHEMA_BYTES = 16 * 1024
MAX_BODY_BYTES = 256 * 1024
MIN_TOKEN, MAX_TOKEN = 32, 256
_NAME = re.compile(r"[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?", re.ASCII)
_REPLICA = re.compile(r"[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,251}[A-Za-z0-9])?", re.ASCII)
_TAG = re.compile(r"[A-Za-z0-9](?:[-A-Za-z0-9_.:/=]{0,61}[A-Za-z0-9])?", re.ASCII)
_TOKEN = re.compile(r"[!-~]+", re.ASCII)
_A_NAME = "give 1 to 63 letters, digits, - _ and ., with a letter or digit at both ends"
_decode = msgspec.json.Decoder(Registration).decode
_PATH = re.compile(r" - at `\$\.?(.*)`$")


def read_registration(body: bytes) -> Registration:
    """The registration in a body. Raises `Problem` where it is not one."""
    try:
        return _decode(body)
    except msgspec.ValidationError as error:
        text = str(error)
        path = _PATH.search(text)
        field = path[1] if path else "the body"
        reason = _PATH.sub("", text)
        raise Problem(422, "This cannot be registered", f"{field}: {reason}", field=field) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Problem(400, "This is not JSON", f"the body cannot be read: {error}") from None


def check_registration(told: Registration, *, owner: str, token: str, now: float) -> Record:
    """What to keep of a registration whose endpoint was looked at. Raises `Problem` for the first wrong field."""
    check_name("name", told.name)
    if not _REPLICA.fullmatch(told.replica):
        raise invalid("replica", told.replica, "give 1 to 253 letters, digits, - _ and .: the pod's name will do")
    if not 1 <= told.health_interval <= 3600:
        raise invalid("healthInterval", told.health_interval, "give 1 to 3600 seconds")
    _at_most("capabilities", len(told.capabilities), MAX_CAPABILITIES)
    _at_most("dependencies", len(told.dependencies), MAX_DEPENDENCIES)
    abilities = tuple(_ability(f"capabilities[{at}]", one) for at, one in enumerate(told.capabilities))
    seen: set[tuple[str, str]] = set()
    for at, ability in enumerate(abilities):
        if (ability.name, ability.version) in seen:
            raise invalid(f"capabilities[{at}].name", ability.name, "it is there twice with one version: give it once")
        seen.add((ability.name, ability.version))
    dependencies = tuple(_dependency(f"dependencies[{at}]", one) for at, one in enumerate(told.dependencies))
    profile = shared(Profile(abilities, dependencies, float(told.health_interval)))
    metadata = _metadata(told.metadata)
    return Record(
        id=agent_id(told.name, told.replica),
        name=same(told.name),
        replica=told.replica,
        endpoint=told.endpoint,
        profile=profile,
        metadata=metadata or None,
        owner=owner,
        secret=secret_digest(token),
        digest=content_digest(told.name, told.endpoint, profile, metadata),
        registered=now,
        changed=now,
    )


def check_name(field: str, name: str) -> None:
    """Raises `Problem` for what cannot name an agent or a capability."""
    if not _NAME.fullmatch(name):
        raise invalid(field, name, _A_NAME)


def check_token(token: str) -> None:
    """Raises `Problem` for a token that could be guessed or cannot stand in a header. Never repeats it."""
    if not (MIN_TOKEN <= len(token) <= MAX_TOKEN and _TOKEN.fullmatch(token)):
        remedy = f"{MIN_TOKEN} to {MAX_TOKEN} random characters of visible ASCII are needed, or leave it out"
        raise Problem(422, "This cannot be registered", f"token is not one: {remedy}", field="token")


def check_tags(field: str, tags: tuple[str, ...]) -> tuple[str, ...]:
    """The tags in one order. Raises `Problem`."""
    _at_most(field, len(tags), MAX_TAGS)
    for tag in tags:
        if not _TAG.fullmatch(tag):
            raise invalid(field, tag, "give tags of 1 to 63 letters, digits and - _ . : / =")
    return tuple(sorted(set(tags)))


def _ability(field: str, told: Capability) -> Ability:
    check_name(f"{field}.name", told.name)
    try:
        parse_version(told.version)
    except VersionError as error:
        raise invalid(f"{field}.version", told.version, str(error).partition(": ")[2]) from None
    if not 0 < told.timeout <= 86_400:
        raise invalid(f"{field}.timeout", told.timeout, "give more than 0 and at most 86400 seconds")
    if told.description is not None and len(told.description) > 1024:
        raise invalid(f"{field}.description", told.description, "give at most 1024 characters")
    return Ability(
        name=told.name,
        version=same(told.version),
        timeout=told.timeout,
        tags=tuple(map(same, check_tags(f"{field}.tags", told.tags))),
        description=told.description,
        schema=_schema(f"{field}.inputSchema", told.input_schema),
    )


def _schema(field: str, told: object) -> str | None:
    if told is None:
        return None
    if not isinstance(told, dict):
        raise invalid(field, told, "give a JSON schema, which is an object")
    data = msgspec.json.encode(cast("dict[str, object]", told))
    if len(data) > MAX_SCHEMA_BYTES:
        raise invalid(field, f"{len(data)} bytes long", f"give at most {MAX_SCHEMA_BYTES}")
    return data.decode()


def _dependency(field: str, told: Dependency) -> Dependency:
    check_name(f"{field}.capability", told.capability)
    if told.version is not None:
        try:
            parse_range(told.version)
        except VersionError as error:
            raise invalid(f"{field}.version", told.version, str(error)) from None
    return Dependency(told.capability, told.version, check_tags(f"{field}.tags", told.tags))


def _metadata(told: dict[str, str]) -> dict[str, str]:
    _at_most("metadata", len(told), MAX_METADATA)
    for key, value in told.items():
        if not 0 < len(key) <= 63:
            raise invalid("metadata", key, "give keys of 1 to 63 characters")
        if len(value) > 256:
            raise invalid(f"metadata.{key}", value, "give values of at most 256 characters")
    return told


def _at_most(field: str, count: int, most: int) -> None:
    if count > most:
        raise invalid(field, f"{count} long", f"give at most {most}")
