"""Host and Origin: compared whole."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.security.origins import Authority, Origin, OriginPolicy, is_loopback

LOCAL = OriginPolicy(bound_to="127.0.0.1")
CLUSTER = OriginPolicy(bound_to="0.0.0.0")
NAMED = OriginPolicy(bound_to="0.0.0.0", hosts=["mcp.example.org", "mcp:8000"], origins=["https://app.example.org"])


def refused(policy: OriginPolicy, host: str, origin: str | None = None) -> str | None:
    return policy.refuse(host.encode("latin-1"), None if origin is None else origin.encode("latin-1"))


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:8000", "127.0.0.1:3002", "[::1]:8000", "[::1]", "LOCALHOST:1"]
)
def test_a_local_server_answers_to_loopback_names(host: str) -> None:
    assert refused(LOCAL, host) is None


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1.evil",
        "127.0.0.1:3002.evil",
        "localhost.evil.example",
        "evil.example",
        "evil.example:8000",
        "localhost:8000@evil.example",
        "localhost:99999",
        "localhost:",
        "localhost:80:80",
        "localhost, evil.example",
        "localhost/evil",
        "[::1",
        "[::1]evil",
        "[not:an:address]",
        "10.0.0.1",
        "127.0.0.1\\@evil.example",
        "ⅼocalhost".encode().decode("latin-1"),
        "",
        " ",
    ],
)
def test_a_local_server_answers_to_no_other_name(host: str) -> None:
    assert refused(LOCAL, host) is not None


@pytest.mark.parametrize(
    "origin", ["http://localhost:8000", "http://127.0.0.1:6274", "https://localhost", "http://[::1]:3"]
)
def test_a_local_page_may_call_a_local_server(origin: str) -> None:
    assert refused(LOCAL, "localhost:8000", origin) is None


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "http://evil.example",
        "http://localhost:1@evil.example",
        "http://localhost.evil.example",
        "http://127.0.0.1.evil",
        "http://localhost:8000/path",
        "http://localhost:8000?x",
        "http://localhost:8000#x",
        "http://localhost\\@evil.example",
        "file://",
        "chrome-extension://abcdef",
        "localhost:8000",
        "http://",
        "http://localhost:8000 http://evil.example",
        "",
    ],
)
def test_no_other_page_may_call_a_local_server(origin: str) -> None:
    assert refused(LOCAL, "localhost:8000", origin) is not None


def test_whitespace_around_a_header_does_not_matter() -> None:
    assert refused(LOCAL, " localhost:8000 ", " http://localhost:8000 ") is None


@pytest.mark.parametrize("host", ["mcp-server.mcp.svc:8000", "10.1.2.3:8000", "mcp.example.org"])
def test_a_server_in_a_cluster_answers_to_every_name_until_names_are_listed(host: str) -> None:
    assert refused(CLUSTER, host) is None


def test_listed_names_are_the_only_names_but_addresses_stay_for_probes() -> None:
    assert refused(NAMED, "mcp.example.org") is None
    assert refused(NAMED, "mcp.example.org:443") is None
    assert refused(NAMED, "mcp:8000") is None
    assert refused(NAMED, "10.1.2.3:8000") is None
    assert refused(NAMED, "mcp:8001") is not None
    assert "MCP_ALLOWED_HOSTS" in str(refused(NAMED, "other.example.org"))


def test_a_page_calls_its_own_server_when_the_name_cannot_be_made_to_point_elsewhere() -> None:
    assert refused(CLUSTER, "10.1.2.3:30800", "http://10.1.2.3:30800") is None
    assert refused(NAMED, "mcp.example.org", "https://mcp.example.org") is None
    assert refused(NAMED, "mcp.example.org:443", "https://mcp.example.org") is None
    # Any name can be made to point at this server: then its page would be of the same origin.
    assert refused(CLUSTER, "rebound.example", "http://rebound.example") is not None
    assert refused(CLUSTER, "10.1.2.3:30800", "http://10.1.2.3:9999") is not None


def test_a_listed_origin_may_call_and_only_as_it_is_listed() -> None:
    assert refused(NAMED, "mcp.example.org", "https://app.example.org") is None
    assert refused(NAMED, "mcp.example.org", "https://APP.example.org") is None
    assert "MCP_ALLOWED_ORIGINS" in str(refused(NAMED, "mcp.example.org", "http://app.example.org"))
    assert refused(NAMED, "mcp.example.org", "https://app.example.org:8443") is not None


def test_a_star_allows_every_origin_even_null() -> None:
    policy = OriginPolicy(bound_to="0.0.0.0", origins=["*"])
    assert refused(policy, "mcp", "https://anything.example") is None
    assert refused(policy, "mcp", "null") is None


def test_remembered_answers_stay_bounded_and_right() -> None:
    policy = OriginPolicy(bound_to="127.0.0.1")
    for number in range(5000):
        assert refused(policy, f"evil-{number}.example") is not None
    assert refused(policy, "localhost") is None
    assert len(policy._seen) <= 1024


@given(st.text(max_size=80))
def test_whatever_is_accepted_as_a_local_host_is_a_loopback_name_and_a_port(text: str) -> None:
    if refused(OriginPolicy(bound_to="127.0.0.1"), text.encode("utf-8", "replace").decode("latin-1")) is None:
        host = text.strip().lower().rsplit(":", 1)[0] if not text.strip().endswith("]") else text.strip().lower()
        assert host in ("localhost", "127.0.0.1", "[::1]")


@given(st.text(max_size=80))
def test_parsing_never_fails_and_keeps_what_it_read(text: str) -> None:
    authority = Authority.parse(text)
    if authority is not None:
        assert text.lower().startswith(authority.host)
    origin = Origin.parse(text)
    if origin is not None:
        assert text.lower().startswith(f"{origin.scheme}://{origin.authority.host}")


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("127.0.0.1", True), ("localhost", True), ("::1", True), ("127.8.8.8", True), ("0.0.0.0", False), ("mcp", False)],
)
def test_what_is_bound_to_a_loopback_address_is_known(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback
