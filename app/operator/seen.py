"""What the watches told: the agents there are, and what each of them owns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any, cast

import msgspec

from app.kubernetes import Object
from app.operator.manifests import DEPLOYMENT
from app.operator.model import API_VERSION, KIND
from app.operator.ownership import digest, ours

Key = tuple[str, str]
"""The namespace and the name of an agent."""
Part = tuple[str, str]
"""The kind and the name of an object that an agent owns."""


class News(Enum):
    """What a piece of news says that was not known."""

    NOTHING = 0
    STATUS = 1
    """How far an object is; nothing about it must be repaired."""
    SUBSTANCE = 2


class Owned(msgspec.Struct, kw_only=True):
    """One object of an agent's, as it last was."""

    version: str
    fingerprint: str
    """A digest of the part of it that is ours."""
    owner: str
    """The uid of the agent that it belongs to."""
    replicas: int | None = None
    claims_replicas: bool = False
    """Whether we are who last said how many pods there are."""
    status: Object | None = None
    generation: int = 0


class Seen:
    """A cache that the watches feed, and that changes of our own are written through to."""

    def __init__(self) -> None:
        self.agents: dict[Key, Object] = {}
        self.missing: set[str] = set()
        """Kinds that the cluster does not have, when everything was counted last."""
        self._owned: dict[Key, dict[Part, Owned]] = {}

    def agent(self, body: Mapping[str, Any]) -> bool:
        """Keep an agent, unless what is known is as new. Whether it was news."""
        key, metadata = key_of(body), body["metadata"]
        known = self.agents.get(key)
        if known is not None and not _is_news(metadata, known["metadata"].get("resourceVersion", "")):
            return False
        self.agents[key] = _slim(body)
        return True

    def agent_gone(self, key: Key) -> None:
        self.agents.pop(key, None)
        self._owned.pop(key, None)

    def owned(self, key: Key) -> dict[Part, Owned]:
        """What the agent is known to own."""
        return self._owned.setdefault(key, {})

    def deployment(self, key: Key) -> Owned | None:
        return self.owned(key).get((DEPLOYMENT.name, key[1]))

    def part(self, body: Mapping[str, Any], kind: str) -> tuple[Key, News] | None:
        """Keep an object that an agent owns. The agent, and what of the object was news."""
        owner = owner_of(body)
        if owner is None:
            return None
        metadata = body["metadata"]
        key, part = (metadata["namespace"], owner["name"]), (kind, metadata["name"])
        known = self.owned(key).get(part)
        if known is not None and not _is_news(metadata, known.version):
            return key, News.NOTHING
        found = self.owned(key)[part] = read(body, kind, owner["uid"])
        if known is None or known.fingerprint != found.fingerprint:
            return key, News.SUBSTANCE
        same = known.status == found.status and known.replicas == found.replicas
        return key, News.NOTHING if same else News.STATUS

    def part_gone(self, body: Mapping[str, Any], kind: str) -> Key | None:
        owner = owner_of(body)
        if owner is None:
            return None
        key = (body["metadata"]["namespace"], owner["name"])
        self._forget(key, (kind, body["metadata"]["name"]))
        return key

    def agents_listed(self, keys: set[Key], version: str, namespace: str | None) -> list[Key]:
        """Forget the agents that a list of a version has not, of one namespace or of all; returns them."""
        gone = [
            key
            for key, body in self.agents.items()
            if namespace in (None, key[0])
            and key not in keys
            and _is_older(str(body["metadata"].get("resourceVersion", "")), version)
        ]
        for key in gone:
            self.agent_gone(key)
        return gone

    def parts_listed(self, kind: str, listed: set[tuple[Key, str]], version: str, namespace: str | None) -> list[Key]:
        """Forget the objects of a kind that a list of a version has not; returns whose they were."""
        gone = [
            (key, part)
            for key, parts in self._owned.items()
            if namespace in (None, key[0])
            for part, known in parts.items()
            if part[0] == kind and (key, part[1]) not in listed and _is_older(known.version, version)
        ]
        for key, part in gone:
            self._forget(key, part)
        return [key for key, _ in gone]

    def __iter__(self) -> Iterator[Key]:
        yield from tuple(self.agents)

    def _forget(self, key: Key, part: Part) -> None:
        parts = self._owned.get(key, {})
        parts.pop(part, None)
        if not parts and key not in self.agents:
            self._owned.pop(key, None)


def key_of(body: Mapping[str, Any]) -> Key:
    return body["metadata"]["namespace"], body["metadata"]["name"]


def owner_of(body: Mapping[str, Any]) -> Object | None:
    """The owner reference to an agent, if the object has one."""
    for reference in cast("list[Object]", body["metadata"].get("ownerReferences") or ()):
        if reference.get("kind") == KIND and reference.get("apiVersion") == API_VERSION:
            return reference
    return None


def read(body: Mapping[str, Any], kind: str, owner: str) -> Owned:
    """What is worth keeping of an object."""
    metadata = body["metadata"]
    mine = ours(body)
    is_deployment = kind == DEPLOYMENT.name
    return Owned(
        version=str(metadata.get("resourceVersion", "")),
        fingerprint=digest(mine),
        owner=owner,
        replicas=body["spec"].get("replicas") if is_deployment else None,
        claims_replicas=is_deployment and "replicas" in mine.get("spec", {}),
        status=dict(body.get("status") or {}) if is_deployment else None,
        generation=int(metadata.get("generation", 0)),
    )


def _is_news(metadata: Mapping[str, Any], known: str) -> bool:
    """Whether this is from after what is known. Versions that are no numbers can only be told apart."""
    version = str(metadata.get("resourceVersion", ""))
    return version != known and not _is_older(version, known)


def _is_older(version: str, known: str) -> bool:
    return version.isdigit() and known.isdigit() and int(version) < int(known)


def _slim(body: Mapping[str, Any]) -> Object:
    metadata = {name: value for name, value in body["metadata"].items() if name != "managedFields"}
    return {"metadata": metadata, "spec": body.get("spec") or {}, "status": dict(body.get("status") or {})}
