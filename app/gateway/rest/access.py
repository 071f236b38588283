"""Who may look at servers and who may start and stop them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from app.asgi import CALLER
from app.gateway.rest.problems import RestError
from app.protocol.calls import ANONYMOUS, Caller

READ = "servers:read"
WRITE = "servers:write"


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """`read_only` says why nobody may change anything here; empty where those with the scope may."""

    read_only: str = ""

    def may_write(self, caller: Caller) -> bool:
        return not self.read_only and _has(caller, WRITE)

    def reader(self, request: Request) -> Caller:
        """The caller, who may read."""
        caller = caller_of(request)
        if not _has(caller, READ) and not _has(caller, WRITE):
            raise RestError(403, f"the token of {caller.subject!r} lacks the scope {READ}: use one that has it")
        return caller

    def writer(self, request: Request) -> Caller:
        """The caller, who may change what runs."""
        caller = caller_of(request)
        if self.read_only:
            raise RestError(403, self.read_only)
        if not _has(caller, WRITE):
            raise RestError(403, f"the token of {caller.subject!r} lacks the scope {WRITE}: use one that has it")
        return caller


def caller_of(request: Request) -> Caller:
    """Whom the guard let in."""
    found = request.scope.get(CALLER)
    return found if isinstance(found, Caller) else ANONYMOUS


def access_of(request: Request) -> Access:
    return request.app.state.access


def _reader(request: Request) -> Caller:
    return access_of(request).reader(request)


def _writer(request: Request) -> Caller:
    return access_of(request).writer(request)


Reader = Annotated[Caller, Depends(_reader)]
Writer = Annotated[Caller, Depends(_writer)]


def _has(caller: Caller, scope: str) -> bool:
    """A token without scopes may do all."""
    return not caller.scopes or scope in caller.scopes
