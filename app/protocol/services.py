"""What the methods of the protocol work with."""

from dataclasses import dataclass

import msgspec
from msgspec import Raw

from app.protocol.changes import Changes
from app.protocol.content import CacheableResult, Implementation, Result
from app.protocol.handlers import Registry
from app.protocol.listings import ListPolicy
from app.protocol.params import META_SERVER_INFO
from app.protocol.passing import passed_result
from app.protocol.revisions import Revision
from app.protocol.sealing import StateSealer


@dataclass(frozen=True, slots=True)
class Services:
    """One server: what it offers, what it is called, and what it keeps."""

    registry: Registry
    server: Implementation
    sealer: StateSealer
    changes: Changes
    policy: ListPolicy
    server_meta: Raw
    """`_meta` of every result of 2026-07-28, encoded."""

    def finish(self, result: Result | Raw, revision: Revision, *, cacheable: bool = False) -> Result | Raw:
        """The result with what its revision asks of every result, and without what it lacks."""
        if isinstance(result, Raw):
            return passed_result(result, revision, self.server_meta, cacheable=cacheable)
        if not revision.stateless:
            return result if result.result_type is msgspec.UNSET else self._unfinished(result)
        result.result_type = "complete"
        if result.meta is msgspec.UNSET:
            result.meta = self.server_meta
        elif isinstance(result.meta, dict):
            result.meta = {META_SERVER_INFO: self.server, **result.meta}
        if isinstance(result, CacheableResult):
            if result.ttl_ms is msgspec.UNSET:
                result.ttl_ms = 0
            if result.cache_scope is msgspec.UNSET:
                result.cache_scope = "private"
        return result

    def _unfinished(self, result: Result) -> Result:
        """A copy without what `finish` added: a handler may return the same object to both eras."""
        plain = msgspec.structs.replace(result, result_type=msgspec.UNSET)
        if plain.meta is self.server_meta:
            plain.meta = msgspec.UNSET
        elif isinstance(plain.meta, dict):
            plain.meta = {key: value for key, value in plain.meta.items() if key != META_SERVER_INFO}
        if isinstance(plain, CacheableResult):
            plain.ttl_ms = plain.cache_scope = msgspec.UNSET
        return plain


def server_meta(server: Implementation) -> Raw:
    """`_meta` that names the server."""
    return Raw(msgspec.json.encode({META_SERVER_INFO: server}))
