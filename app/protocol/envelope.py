"""What every request of 2026-07-28 says of itself in `_meta`, checked before anything else is done with it."""

from msgspec import UNSET, Raw

from app.protocol.errors import INVALID_PARAMS, UNSUPPORTED_PROTOCOL_VERSION, ProtocolError
from app.protocol.params import META_CAPABILITIES, META_VERSION, Meta, Params, ParamsDecoder
from app.protocol.revisions import REVISIONS, STATELESS_REVISIONS, Revision

SUPPORTED = sorted(REVISIONS, reverse=True)
_STATELESS = {revision.name: revision for revision in STATELESS_REVISIONS}


_META_VERSION = META_VERSION.encode()
_ONLY_STATELESS = ("server/discover", "subscriptions/listen")
_decode = ParamsDecoder(Params)


def speaks_stateless(method: str, params: Raw | None) -> bool:
    """Whether a request is one of a revision without a handshake, where only the request itself can tell."""
    if method in _ONLY_STATELESS:
        return True
    if params is None or _META_VERSION not in bytes(params):
        return False
    try:
        meta = _decode(params).meta
    except ProtocolError:
        return False
    return meta is not UNSET and meta.version is not UNSET


def required_meta(params: Params) -> Meta:
    """The request's `_meta`, with all that it must carry; raises `ProtocolError`."""
    meta = params.meta
    if meta is UNSET:
        raise ProtocolError(
            INVALID_PARAMS, f"params._meta is missing: send it with '{META_VERSION}' and '{META_CAPABILITIES}'."
        )
    if meta.version is UNSET:
        raise ProtocolError(INVALID_PARAMS, f"params._meta lacks '{META_VERSION}'.")
    if meta.capabilities is UNSET:
        raise ProtocolError(INVALID_PARAMS, f"params._meta lacks '{META_CAPABILITIES}': send {{}} if there are none.")
    if bytes(meta.capabilities)[:1] != b"{":
        raise ProtocolError(INVALID_PARAMS, f"params._meta['{META_CAPABILITIES}'] is not an object.")
    return meta


def stateless_revision(requested: str) -> Revision:
    """The revision of that name, if it is one without a handshake; raises `ProtocolError`."""
    revision = _STATELESS.get(requested)
    if revision is None:
        raise unsupported(requested)
    return revision


def unsupported(requested: str) -> ProtocolError:
    """The answer to a protocol version that is not served (this way)."""
    return ProtocolError(
        UNSUPPORTED_PROTOCOL_VERSION,
        f"Unsupported protocol version '{requested[:64]}': use one of {', '.join(SUPPORTED)}.",
        {"supported": SUPPORTED, "requested": requested[:64]},
    )
