"""What agents and the registry tell each other, and what the registry keeps of an agent."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from enum import IntEnum
from typing import Any, Literal
from weakref import WeakValueDictionary

import msgspec
from msgspec import UNSET, Struct, UnsetType

REGISTER_SCOPE = "mesh:register"
"""The scope that a configured bearer token needs to register agents."""

BeatStatus = Literal["ok", "unknown", "refused"]
EventKind = Literal["registered", "changed", "degraded", "recovered", "gone", "deregistered"]


class State(IntEnum):
    """How an agent is, by the heartbeats that it missed."""

    HEALTHY = 0
    DEGRADED = 1
    GONE = 2

    @property
    def word(self) -> str:
        return self.name.lower()


class Capability(Struct, frozen=True, omit_defaults=True, rename="camel"):
    """One thing that an agent can do for others, as it tells it."""

    name: str
    version: str = "1.0.0"
    timeout: float = 30
    tags: tuple[str, ...] = ()
    description: str | None = None
    input_schema: Any = None
    """A JSON schema: an object."""


class Dependency(Struct, frozen=True, omit_defaults=True):
    """A capability of other agents that an agent calls; `version` is a range."""

    capability: str
    version: str | None = None
    tags: tuple[str, ...] = ()


class Registration(Struct, frozen=True, omit_defaults=True, rename="camel", forbid_unknown_fields=True):
    """The body of `POST /agents`."""

    name: str
    replica: str
    """Unique among those that run now: the pod's name, with something new for each start of the process."""
    endpoint: str
    capabilities: tuple[Capability, ...] = ()
    dependencies: tuple[Dependency, ...] = ()
    metadata: dict[str, str] = {}
    health_interval: float = 30
    token: str | None = None
    """A secret of the agent's own choice; sent again by an agent that did not hear the answer to its first try."""


class Registered(Struct, frozen=True, omit_defaults=True):
    """The answer to `POST /agents`."""

    id: str
    interval: float
    """Seconds between heartbeats."""
    token: str
    digest: str
    """What heartbeats may repeat, so that a registry which knows something else can say so."""
    buffered: bool = False
    """The store is away: kept on this replica's disk until it is back."""


class Beat(Struct, gc=False):
    """One heartbeat."""

    id: str
    token: str
    load: float | None = None
    digest: str | None = None


class Beats(Struct, gc=False):
    """The body of `POST /heartbeats`."""

    beats: list[Beat]


class BeatResult(Struct, frozen=True, gc=False, omit_defaults=True):
    """What became of one heartbeat. `resend` asks for the registration, which the registry knows otherwise."""

    id: str
    status: BeatStatus
    resend: bool = False


class BeatAnswer(Struct, frozen=True):
    """The answer to `POST /heartbeats`; `interval` is when to beat again, in seconds."""

    results: list[BeatResult]
    interval: float


class Ability(Struct, frozen=True, gc=False, array_like=True):
    """A capability as the registry keeps it: checked, in one order, hashable."""

    name: str
    version: str
    timeout: float
    tags: tuple[str, ...] = ()
    description: str | None = None
    schema: str | None = None

    def shown(self) -> CapabilityView:
        schema = UNSET if self.schema is None else msgspec.Raw(self.schema.encode())
        description = UNSET if self.description is None else self.description
        return CapabilityView(self.name, self.version, self.timeout, self.tags, description, schema)


class Profile(Struct, frozen=True, array_like=True, weakref=True):
    """What all replicas of one agent have in common; kept once however many there are."""

    abilities: tuple[Ability, ...]
    dependencies: tuple[Dependency, ...]
    interval: float


class Record(Struct, frozen=True, gc=False, array_like=True):
    """One registered replica of an agent."""

    id: str
    name: str
    replica: str
    endpoint: str
    profile: Profile
    metadata: dict[str, str] | None
    owner: str
    """The subject of the configured token it was registered with; empty where none is asked for."""
    secret: bytes
    """A digest of the registration's token."""
    digest: str
    """Of everything that the agent told."""
    registered: float
    changed: float


class CapabilityView(Struct, frozen=True, rename="camel"):
    """A capability as `GET /agents` shows it: whole."""

    name: str
    version: str
    timeout: float
    tags: tuple[str, ...]
    description: str | UnsetType = UNSET
    input_schema: msgspec.Raw | UnsetType = UNSET


class AgentView(Struct, frozen=True, rename="camel"):
    """An agent as `GET /agents` shows it."""

    id: str
    name: str
    replica: str
    endpoint: str
    state: str
    health_interval: float
    registered: str
    changed: str
    capabilities: list[CapabilityView] = []
    dependencies: tuple[Dependency, ...] = ()
    metadata: dict[str, str] = {}
    load: float | None = None
    owner: str | UnsetType = UNSET
    """The subject of the token that it was registered with, where tokens are asked for."""


class Found(Struct, frozen=True):
    """One agent that `GET /discover` found."""

    id: str
    name: str
    endpoint: str
    capability: str
    version: str
    timeout: float
    tags: tuple[str, ...]
    load: float | None
    state: str
    origin: str | UnsetType = UNSET
    """The registry that it is registered with, where that is another one."""


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Record).decode
_profiles: WeakValueDictionary[bytes, Profile] = WeakValueDictionary()
_texts: dict[str, str] = {}
_MOST_TEXTS = 4_096


def agent_id(name: str, replica: str) -> str:
    """The id of a replica: the same on every registry, so that none has to be agreed on."""
    return hashlib.blake2b(f"{name}\0{replica}".encode(), digest_size=16).hexdigest()


def secret_digest(token: str) -> bytes:
    """What is kept of a token."""
    return hashlib.blake2b(token.encode(), digest_size=16, person=b"slipway-mesh").digest()


def shared(profile: Profile) -> Profile:
    """The one object for equal profiles."""
    return _profiles.setdefault(hashlib.blake2b(_encode(profile), digest_size=16).digest(), profile)


def same(text: str) -> str:
    """The one object for equal texts, of those that many agents tell: names, versions and tags."""
    if len(_texts) >= _MOST_TEXTS:
        _texts.clear()
    return _texts.setdefault(text, text)


def encode_record(record: Record) -> bytes:
    return _encode(record)


def decode_record(data: bytes) -> Record:
    """The record that was encoded. Raises msgspec.DecodeError."""
    record = _decode(data)
    return msgspec.structs.replace(record, name=same(record.name), profile=shared(record.profile))


def content_digest(name: str, endpoint: str, profile: Profile, metadata: dict[str, str]) -> str:
    """A short digest of everything that an agent told."""
    told: tuple[Any, ...] = (name, endpoint, profile, sorted(metadata.items()))
    return hashlib.blake2b(_encode(told), digest_size=8).hexdigest()


def when(seconds: float) -> str:
    """A time as the API writes it."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def view(record: Record, state: State, load: float | None) -> AgentView:
    """What is shown of an agent: all but its token."""
    return AgentView(
        id=record.id,
        name=record.name,
        replica=record.replica,
        endpoint=record.endpoint,
        state=state.word,
        health_interval=record.profile.interval,
        registered=when(record.registered),
        changed=when(record.changed),
        capabilities=[ability.shown() for ability in record.profile.abilities],
        dependencies=record.profile.dependencies,
        metadata=record.metadata or {},
        load=load,
        owner=record.owner or UNSET,
    )
