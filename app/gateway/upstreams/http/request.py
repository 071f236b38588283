"""Requests as bytes: what never changes is put together once."""

from __future__ import annotations

from app.gateway.upstreams.dialect import client_info
from app.gateway.upstreams.http.address import Address

_MESSAGES = b"application/json, text/event-stream"


class Requests:
    """Makes the requests to one address. What it is given for a header must have been checked."""

    def __init__(self, address: Address, own: bytes) -> None:
        self.own = own
        info = client_info()
        self._common = b"host: %b\r\nuser-agent: %b/%b\r\naccept-encoding: identity\r\n%b" % (
            address.authority.encode(),
            info["name"].encode(),
            info["version"].encode(),
            own,
        )
        self._target = address.target.encode()
        self._post = b"POST %b HTTP/1.1\r\n%bcontent-type: application/json\r\naccept: %b\r\n" % (
            self._target,
            self._common,
            _MESSAGES,
        )

    def post(self, lines: bytes, body: bytes) -> bytes:
        """A message; `lines` are headers of this request, each with its line end."""
        return b"%b%bcontent-length: %d\r\n\r\n%b" % (self._post, lines, len(body), body)

    def get(self, accept: bytes, lines: bytes = b"") -> bytes:
        """Asks for a stream."""
        return b"GET %b HTTP/1.1\r\n%baccept: %b\r\n%b\r\n" % (self._target, self._common, accept, lines)

    def delete(self, lines: bytes) -> bytes:
        """Ends a session."""
        return b"DELETE %b HTTP/1.1\r\n%b%b\r\n" % (self._target, self._common, lines)
