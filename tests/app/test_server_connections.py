"""One connection to a listening server: slow, oversize, ambiguous and unauthorised requests, byte by byte."""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

TOKEN = "a-token-of-32-characters-0123456"
ECHO = json.dumps(
    {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": "echo", "arguments": {"text": "x"}}}
).encode()


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Wire:
    """A TCP connection on which a test says exactly what it wants."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.reader = self.socket.makefile("rb")

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def answer(self) -> Answer | None:
        """The next answer, or None when the server closed the connection."""
        try:
            status_line = self.reader.readline()
        except ConnectionResetError:
            return None
        if not status_line:
            return None
        headers: dict[str, str] = {}
        while (line := self.reader.readline().strip()) != b"":
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        return Answer(int(status_line.split()[1]), headers, self.reader.read(int(headers.get("content-length", 0))))

    def answered(self) -> Answer:
        found = self.answer()
        assert found is not None
        return found

    def close(self) -> None:
        self.reader.close()
        self.socket.close()


@contextmanager
def wire(slipway: Any) -> Iterator[Wire]:
    opened = Wire(slipway.port)
    try:
        yield opened
    finally:
        opened.close()


def request(
    *headers: str, method: str = "POST", path: str = "/messages", body: bytes = b"", host: str = "localhost"
) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", *([f"Host: {host}"] if host else []), *headers]
    if body and not any(header.lower().startswith(("content-length", "transfer-encoding")) for header in headers):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


JSON = "Content-Type: application/json"


@pytest.fixture
def slipway(start_slipway: Any) -> Any:
    return start_slipway(
        MCP_HEADER_TIMEOUT="0.6", MCP_BODY_TIMEOUT="0.6", MCP_KEEP_ALIVE_TIMEOUT="30", MCP_MAX_BODY_BYTES="65536"
    )


def test_slow_and_ambiguous_clients_are_answered_and_closed(slipway: Any) -> None:
    """One server for all of these: what one client does must not hurt the next."""
    silent_client_is_closed(slipway)
    slow_headers_are_timed_out(slipway)
    slow_body_is_timed_out(slipway)
    stray_bytes_do_not_keep_an_answered_connection(slipway)
    endless_headers_are_refused(slipway)
    a_declared_body_that_is_too_large_is_refused_at_once(slipway)
    a_chunked_body_that_grows_too_large_is_refused(slipway)
    content_length_and_transfer_encoding_together_are_refused(slipway)
    two_content_lengths_are_refused(slipway)
    garbage_is_refused(slipway)
    requests_in_a_pipeline_are_answered_in_their_order(slipway)
    half_a_request_behind_a_running_one_does_not_cost_its_answer(slipway)
    assert not [line for line in slipway.lines if line["level"] == "error"]


def silent_client_is_closed(slipway: Any) -> None:
    with wire(slipway) as one:
        assert one.answer() is None


def slow_headers_are_timed_out(slipway: Any) -> None:
    with wire(slipway) as one:
        one.send(b"POST /mcp HTTP/1.1\r\nHost: localhost\r\n")
        found = one.answered()
        assert (found.status, found.headers["connection"]) == (408, "close")
        assert found.json["error"]["message"].startswith("the headers did not arrive within 0.6 seconds")
        assert one.answer() is None


def slow_body_is_timed_out(slipway: Any) -> None:
    with wire(slipway) as one:
        one.send(request(JSON, "Content-Length: 500") + b"{")
        found = one.answered()
        assert found.status == 408
        assert found.json["jsonrpc"] == "2.0"
        assert "body did not arrive" in found.json["error"]["message"]
        assert one.answer() is None


def stray_bytes_do_not_keep_an_answered_connection(slipway: Any) -> None:
    with wire(slipway) as one:
        one.send(request(JSON, body=ECHO))
        assert one.answered().status == 200
        one.send(b"\r\n")
        began = time.monotonic()
        found = one.answer()
        assert found is None or found.status == 408
        assert time.monotonic() - began < 10


def endless_headers_are_refused(slipway: Any) -> None:
    with wire(slipway) as one:
        one.send(b"POST /mcp HTTP/1.1\r\nHost: localhost\r\n")
        for number in range(80):
            one.send(f"X-{number}: {'y' * 1000}\r\n".encode())
        assert one.answered().status == 431


def a_declared_body_that_is_too_large_is_refused_at_once(slipway: Any) -> None:
    with wire(slipway) as one:
        one.send(request(JSON, "Content-Length: 5242880"))
        found = one.answered()
        assert found.status == 413
        assert "MCP_MAX_BODY_BYTES" in found.json["error"]["message"]
    with wire(slipway) as one:
        one.send(request(JSON, body=b" " * 5_242_880))  # a client that sends it all first reads the answer too
        assert one.answered().status == 413


def a_chunked_body_that_grows_too_large_is_refused(slipway: Any) -> None:
    with wire(slipway) as one:
        chunk = b"8000\r\n" + b" " * 0x8000 + b"\r\n"
        one.send(request(JSON, "Transfer-Encoding: chunked") + chunk * 3)
        assert one.answered().status == 413


def content_length_and_transfer_encoding_together_are_refused(slipway: Any) -> None:
    smuggled = request(method="GET", path="/health")
    for headers in (
        ("Content-Length: 5", "Transfer-Encoding: chunked"),
        ("Transfer-Encoding: chunked", "Content-Length: 5"),
        ("Transfer-Encoding: chunked", "Transfer-Encoding: identity"),
        ("Transfer-Encoding: gzip",),
    ):
        with wire(slipway) as one:
            one.send(request(JSON, *headers) + b"0\r\n\r\n" + smuggled)
            assert one.answered().status == 400, headers
            assert one.answer() is None


def two_content_lengths_are_refused(slipway: Any) -> None:
    with wire(slipway) as one:
        one.send(request(JSON, f"Content-Length: {len(ECHO)}", "Content-Length: 3") + ECHO)
        assert one.answered().status == 400


def garbage_is_refused(slipway: Any) -> None:
    for garbage in (b"\x16\x03\x01\x02\x00\x01", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\x00" * 100):
        with wire(slipway) as one:
            one.send(garbage)
            assert one.answered().status == 400, garbage


def requests_in_a_pipeline_are_answered_in_their_order(slipway: Any) -> None:
    with wire(slipway) as one:
        one.send(request(JSON, body=ECHO) + request(method="GET", path="/health") + request(JSON, body=ECHO))
        assert [one.answered().json.get("id") for _ in range(3)] == [7, None, 7]


def half_a_request_behind_a_running_one_does_not_cost_its_answer(slipway: Any) -> None:
    with wire(slipway) as one:
        one.send(request(JSON, body=ECHO.replace(b"echo", b"wait").replace(b'"text": "x"', b'"seconds": 1.5')))
        one.send(b"POST /mess")
        assert one.answered().json["result"]["structuredContent"]["seconds"] >= 1.5
        assert one.answered().status == 408


FOREIGN = (
    ("127.0.0.1.evil", ()),
    ("127.0.0.1:3002.evil", ()),
    ("evil.example", ()),
    ("localhost", ("Origin: http://localhost:1@evil.example",)),
    ("localhost", ("Origin: http://evil.example",)),
    ("localhost", ("Origin: null",)),
)
UPGRADE = (
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Protocol: mcp",
)


def test_a_foreign_host_or_origin_is_refused_on_every_path_and_for_websockets(start_slipway: Any) -> None:
    slipway = start_slipway()
    for host, headers in FOREIGN:
        for path in ("/mcp", "/messages", "/sse", "/", "/health", "/metrics"):
            with wire(slipway) as one:
                one.send(request(JSON, *headers, path=path, body=ECHO, host=host))
                found = one.answered()
                assert (found.status, found.json["error"]["code"]) == (403, -32600), (path, host, headers)
        with wire(slipway) as one:
            one.send(request(*UPGRADE, *headers, method="GET", path="/mcp", host=host))
            assert one.answered().status == 403, (host, headers)
    with wire(slipway) as one:
        one.send(request(*UPGRADE, method="GET", path="/mcp"))
        assert one.answered().status == 101


def test_a_missing_or_second_host_is_refused_and_the_connection_goes_on(start_slipway: Any) -> None:
    with wire(start_slipway()) as one:
        one.send(request(JSON, body=ECHO, host=""))
        assert one.answered().status == 400
        one.send(request("Host: localhost", JSON, body=ECHO))
        assert one.answered().status == 400
        one.send(request(JSON, body=ECHO))
        assert one.answered().json["result"]["content"] == [{"type": "text", "text": "x"}]


def test_a_token_is_asked_for_everywhere_but_at_the_probes_and_the_page(start_slipway: Any) -> None:
    slipway = start_slipway(MCP_AUTH_TOKENS=f"{TOKEN}:alice")
    expected = dict.fromkeys(("/health", "/livez", "/ready", "/metrics", "/"), 200)
    asked = dict.fromkeys(("/mcp", "/sse", "/messages", "/api/status", "/api/tools", "/openapi.json"), 401)
    with wire(slipway) as one:
        for path, status in {**expected, **asked}.items():
            one.send(request(method="GET", path=path))
            found = one.answered()
            assert found.status == status, path
            if status == 401:
                assert found.headers["www-authenticate"] == 'Bearer realm="slipway"'
        one.send(request(method="GET", path="/"))
        assets = re.findall(r'(?:href|src)="/?(page/[^"]+)"', one.answered().body.decode())
        assert assets
        for asset in assets:
            one.send(request(method="GET", path=f"/{asset}"))
            assert one.answered().status == 200, asset
        one.send(request(JSON, "Authorization: Bearer wrong-wrong-wrong-wrong", body=ECHO))
        assert one.answered().headers["www-authenticate"] == 'Bearer realm="slipway", error="invalid_token"'
        one.send(request(JSON, f"Authorization: Bearer {TOKEN}", body=ECHO))
        assert one.answered().status == 200
    assert TOKEN not in slipway.log.read_text()


def test_a_browser_is_told_that_a_listed_origin_may_read_the_answer(start_slipway: Any) -> None:
    slipway = start_slipway(MCP_ALLOWED_ORIGINS="https://app.example.org", MCP_AUTH_TOKENS=TOKEN)
    with wire(slipway) as one:
        one.send(request("Origin: https://app.example.org", method="OPTIONS", path="/mcp"))
        preflight = one.answered()
        assert preflight.status == 204
        assert preflight.headers["access-control-allow-origin"] == "https://app.example.org"
        assert "mcp-method" in preflight.headers["access-control-allow-headers"]
        one.send(request("Origin: https://app.example.org", JSON, f"Authorization: Bearer {TOKEN}", body=ECHO))
        answer = one.answered()
        assert (answer.status, answer.headers["access-control-allow-origin"]) == (200, "https://app.example.org")
        one.send(request("Origin: https://other.example.org", method="OPTIONS", path="/mcp"))
        assert one.answered().status == 403


@pytest.mark.parametrize("path", ["/mcp", "/mcp/"])
def test_an_endpoint_is_found_with_a_slash_at_its_end_too(slipway: Any, path: str) -> None:
    with wire(slipway) as opened:
        opened.send(f"DELETE {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nMcp-Session-Id: none\r\n\r\n".encode())
        answer = opened.answered()
    assert answer.status == 404
    assert "session" in answer.json["error"]["message"]
