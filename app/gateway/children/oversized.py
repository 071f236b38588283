"""What becomes of an answer that is longer than may be held: an error in its place, so that nobody waits for it."""

from __future__ import annotations

import json
import re

_ID = rb'"id"\s*:\s*(-?\d{1,18}|"(?:[^"\\\x00-\x1f]|\\.){0,256}")'
_VERSION = rb'"jsonrpc"\s*:\s*"2\.0"'
# Only where it can be no member of something nested: at the very front, or at the very end of the one object.
_AT_FRONT = re.compile(rb"\s*\{\s*(?:" + _VERSION + rb"\s*,\s*)?" + _ID + rb"\s*,")
_AT_END = re.compile(rb",\s*(?:" + _VERSION + rb"\s*,\s*)?" + _ID + rb"\s*(?:,\s*" + _VERSION + rb"\s*)?\}\s*\Z")
_REQUEST = re.compile(rb'"method"\s*:')
_INTERNAL_ERROR = -32603


def refusal(head: bytes, tail: bytes, length: int, longest: int) -> bytes | None:
    """The error that answers the same request, where both ends of the line show its id; or None."""
    found = _AT_FRONT.match(head) or _AT_END.search(tail)
    if found is None or _REQUEST.search(head):
        return None
    message = (
        f"the server's answer has {length:,} bytes, more than the {longest:,} that one line may have: "
        "ask it for less, or raise the gateway's longest line"
    )
    error = json.dumps({"code": _INTERNAL_ERROR, "message": message}).encode()
    return b'{"jsonrpc":"2.0","id":' + found.group(1) + b',"error":' + error + b"}"
