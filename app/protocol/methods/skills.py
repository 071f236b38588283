"""The skills extension: `skills/list`, `skills/get` and `resources/directory/read`."""

from collections.abc import Mapping
from typing import Any

from msgspec import UNSET, Raw, UnsetType

from app.protocol.calls import Call
from app.protocol.content import CacheableResult, ResourceDefinition
from app.protocol.errors import INVALID_PARAMS, METHOD_NOT_FOUND, ProtocolError
from app.protocol.handlers import Skill
from app.protocol.listings import Listing
from app.protocol.methods._method import Method, method
from app.protocol.params import DirectoryParams, ListParams, UriParams
from app.protocol.services import Services


class SkillResult(CacheableResult, kw_only=True):
    """One skill."""

    skill: Mapping[str, Any]


class DirectoryResult(CacheableResult, kw_only=True):
    """The direct children of a directory."""

    resources: list[ResourceDefinition]
    next_cursor: str | UnsetType = UNSET


class Skills:
    """Skills: directories of resources, each with a `SKILL.md`."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._listing = Listing(
            "skills",
            services.registry.skills,
            _uri,
            lambda: services.registry.generation,
            services.policy,
            services.server_meta,
            show=_entry,
        )

    def methods(self) -> list[Method]:
        """The methods of this group."""
        return [
            method("skills/list", ListParams, self._list),
            method("skills/get", UriParams, self._get),
            method("resources/directory/read", DirectoryParams, self._directory),
        ]

    async def _list(self, call: Call, params: ListParams) -> Raw:
        self._check(call)
        return self._listing.page(call.revision, params.cursor)

    async def _get(self, call: Call, params: UriParams) -> object:
        self._check(call)
        skill = self._services.registry.skill(params.uri)
        if skill is None:
            raise ProtocolError(INVALID_PARAMS, f"There is no skill '{params.uri[:256]}': see skills/list.")
        return self._finish(SkillResult(skill=skill.entry), call)

    async def _directory(self, call: Call, params: DirectoryParams) -> object:
        self._check(call)
        for skill in self._services.registry.skills():
            children = skill.directories.get(params.uri.rstrip("/"))
            if children is not None:
                return self._finish(DirectoryResult(resources=list(children)), call)
        raise ProtocolError(INVALID_PARAMS, f"'{params.uri[:256]}' is not a directory of a skill: see skills/list.")

    def _finish(self, result: CacheableResult, call: Call) -> object:
        if call.revision.stateless:
            result.ttl_ms, result.cache_scope = self._services.policy.ttl_ms, self._services.policy.cache_scope
        return self._services.finish(result, call.revision)

    def _check(self, call: Call) -> None:
        if not self._services.registry.skills():
            raise ProtocolError(METHOD_NOT_FOUND, f"Method not found: '{call.method}'. This server has no skills.")


def _uri(skill: Skill) -> str:
    return skill.uri


def _entry(skill: Skill, _: object) -> object:
    return skill.entry
