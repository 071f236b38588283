"""What the watches told: the agents there are, and what each of them owns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import blake2b
from typing import Any, cast

import msgspec

from app.operator._labels import MANAGER
from app.operator.manifests import DEPLOYMENT
from app.operator.model import API_VERSION, KIND, Object

Key = tuple[str, str]
"""The namespace and the name of an agent."""
Part = tuple[str, str]
"""The kind and the name of an object that an agent owns."""

# Changed by controllers on every rollout; no business of ours.
_FOREIGN_ANNOTATIONS = "deployment.kubernetes.io/"


class Owned(msgspec.Struct, kw_only=True):
    """One object of an agent's, as it last was."""

    version: str
    fingerprint: str
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
        self._owned: dict[Key, dict[Part, Owned]] = {}

    def agent(self, body: Mapping[str, Any]) -> Key:
        """Keep an agent; an older version than the known one is ignored."""
        key = key_of(body)
        known = self.agents.get(key)
        if known is None or not _is_older(body["metadata"], known["metadata"].get("resourceVersion", "")):
            self.agents[key] = _slim(body)
        return key

    def agent_gone(self, key: Key) -> None:
        self.agents.pop(key, None)
        self._owned.pop(key, None)

    def owned(self, key: Key) -> dict[Part, Owned]:
        """What the agent is known to own."""
        return self._owned.setdefault(key, {})

    def deployment(self, key: Key) -> Owned | None:
        return self.owned(key).get((DEPLOYMENT.name, key[1]))

    def part(self, body: Mapping[str, Any], kind: str) -> tuple[Key, bool] | None:
        """Keep an object that an agent owns. The agent, and whether the object is another than it was."""
        owner = owner_of(body)
        if owner is None:
            return None
        metadata = body["metadata"]
        key, part = (metadata["namespace"], owner["name"]), (kind, metadata["name"])
        known = self.owned(key).get(part)
        if known is not None and _is_older(metadata, known.version):
            return key, False
        found = self.owned(key)[part] = read(body, kind, owner["uid"])
        return key, known is None or known.fingerprint != found.fingerprint or known.status != found.status

    def part_gone(self, body: Mapping[str, Any], kind: str) -> Key | None:
        owner = owner_of(body)
        if owner is None:
            return None
        key = (body["metadata"]["namespace"], owner["name"])
        parts = self._owned.get(key, {})
        parts.pop((kind, body["metadata"]["name"]), None)
        if not parts and key not in self.agents:
            self._owned.pop(key, None)
        return key

    def __iter__(self) -> Iterator[Key]:
        yield from tuple(self.agents)


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
    is_deployment = kind == DEPLOYMENT.name
    return Owned(
        version=str(metadata.get("resourceVersion", "")),
        fingerprint=fingerprint(body),
        owner=owner,
        replicas=body["spec"].get("replicas") if is_deployment else None,
        claims_replicas=is_deployment and _claims_replicas(metadata.get("managedFields") or []),
        status=dict(body.get("status") or {}) if is_deployment else None,
        generation=int(metadata.get("generation", 0)),
    )


def fingerprint(body: Mapping[str, Any]) -> str:
    """A digest of what an object is, without what happens to it: its status, its versions, how far it is scaled."""
    metadata = body["metadata"]
    noted = cast("Mapping[str, str]", metadata.get("annotations") or {})
    annotations = {name: value for name, value in noted.items() if not name.startswith(_FOREIGN_ANNOTATIONS)}
    substance: Object = {
        name: value for name, value in body.items() if name not in ("metadata", "status", "apiVersion", "kind")
    }
    spec = substance.get("spec")
    if isinstance(spec, Mapping) and "replicas" in spec:
        substance["spec"] = {**cast("Object", spec)}
        del substance["spec"]["replicas"]
    told: list[object] = [substance, metadata.get("labels"), annotations, metadata.get("ownerReferences")]
    return blake2b(msgspec.json.encode(told, order="deterministic"), digest_size=12).hexdigest()


def _claims_replicas(fields: list[Object]) -> bool:
    return any(
        entry.get("manager") == MANAGER
        and entry.get("operation") == "Apply"
        and "f:replicas" in entry.get("fieldsV1", {}).get("f:spec", {})
        for entry in fields
    )


def _is_older(metadata: Mapping[str, Any], known: str) -> bool:
    """Whether this is news from before what is known. Versions that are no numbers cannot be compared."""
    version = str(metadata.get("resourceVersion", ""))
    return version.isdigit() and known.isdigit() and int(version) < int(known)


def _slim(body: Mapping[str, Any]) -> Object:
    metadata = {name: value for name, value in body["metadata"].items() if name != "managedFields"}
    return {"metadata": metadata, "spec": body.get("spec") or {}, "status": dict(body.get("status") or {})}
