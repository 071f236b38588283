"""The small words of HTTP that the registry's endpoints share."""

from __future__ import annotations

from base64 import b64decode, urlsafe_b64encode
from collections.abc import Mapping
from urllib.parse import parse_qsl

import msgspec

from app.asgi import RawHeaders, Receive, Scope, Send, respond
from app.mesh.problems import Problem, shown

JSON = b"application/json"
PROBLEM = b"application/problem+json"


class Disconnected(Exception):
    """The client left before it had sent its request."""


async def read_body(receive: Receive, most: int) -> bytes:
    """The whole body. Raises `Problem` where it is longer than `most` bytes."""
    message = await receive()
    if message["type"] != "http.request":
        raise Disconnected
    body: bytes = message.get("body", b"")
    if not message.get("more_body", False) and len(body) <= most:
        return body
    parts = [body]
    size = len(body)
    while message.get("more_body", False):
        if size > most:
            break
        message = await receive()
        if message["type"] != "http.request":
            raise Disconnected
        parts.append(message.get("body", b""))
        size += len(parts[-1])
    if size > most:
        raise Problem(413, "The body is too large", f"the body is longer than {most} bytes: send less")
    return b"".join(parts)


async def answer(send: Send, status: int, value: object, *, headers: RawHeaders = ()) -> None:
    body = value if isinstance(value, bytes) else msgspec.json.encode(value)
    await respond(send, status, body, content_type=JSON, headers=((b"cache-control", b"no-store"), *headers))


async def refuse(send: Send, problem: Problem, *, headers: RawHeaders = ()) -> None:
    again = () if problem.retry_after is None else ((b"retry-after", b"%d" % problem.retry_after),)
    kept = ((b"cache-control", b"no-store"), *again, *headers)
    await respond(send, problem.status, problem.encode(), content_type=PROBLEM, headers=kept)


def method_not_allowed(method: str, *allowed: str) -> Problem:
    return Problem(405, "This method is not served here", f"{method} is not served here: use {' or '.join(allowed)}")


def header(scope: Scope, name: bytes) -> str | None:
    return next((value.decode("latin-1").strip() for key, value in scope["headers"] if key == name), None)


class Parameters:
    """The query of a request, each parameter read by name; what nobody asked for is refused."""

    def __init__(self, scope: Scope, known: frozenset[str]) -> None:
        try:
            text = scope["query_string"].decode("ascii")
            self._given = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=50)
        except ValueError:
            raise Problem(400, "The query cannot be read", "write the query in UTF-8, percent-encoded") from None
        for name, _ in self._given:
            if name not in known:
                detail = f"parameter {shown(name)} is not known: use {', '.join(sorted(known))}"
                raise Problem(400, "The query cannot be read", detail, field=name[:80])

    def one(self, name: str, default: str | None = None) -> str | None:
        """The only value. Raises `Problem` where there are two."""
        values = self.many(name)
        if len(values) > 1:
            raise Problem(400, "The query cannot be read", f"{name} is there twice: give it once", field=name)
        return values[0] if values else default

    def many(self, name: str) -> list[str]:
        return [value for key, value in self._given if key == name]

    def number(self, name: str, default: int, most: int) -> int:
        text = self.one(name)
        if text is None:
            return default
        if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= most and len(text) < 10):
            raise Problem(400, "The query cannot be read", f"{name} is {shown(text)}: give 1 to {most}", field=name)
        return int(text)

    def choice(self, name: str, choices: Mapping[str, object]) -> str | None:
        text = self.one(name)
        if text is not None and text not in choices:
            detail = f"{name} is {shown(text)}: give {', '.join(choices)}"
            raise Problem(400, "The query cannot be read", detail, field=name)
        return text


def cursor_of(place: str) -> str:
    """A place in a list, as the next request names it."""
    return urlsafe_b64encode(place.encode()).decode().rstrip("=")


def place_of(cursor: str | None) -> str:
    """The place that a cursor names; empty for none. Raises `Problem`."""
    if cursor is None:
        return ""
    try:
        return b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode("ascii")
    except ValueError:
        detail = f"cursor is {shown(cursor)}: use the one that the page before gave"
        raise Problem(400, "The query cannot be read", detail, field="cursor") from None
