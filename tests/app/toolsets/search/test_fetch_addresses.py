"""Nobody's own network: which addresses are refused, in which disguise ever."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from loopback import Reply

from app.toolsets import ToolFailure
from app.toolsets.search.addresses import is_public

OURS = [
    "0.0.0.0",
    "10.1.2.3",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.169.254",
    "169.254.170.2",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "203.0.113.9",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:a9fe:a9fe::1",
    "3fff::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "2600::1%eth0",
    "fec0::1",
    "ff02::1",
]
PUBLIC = ["1.1.1.1", "8.8.8.8", "93.184.215.14", "172.32.0.1", "2606:4700:4700::1111", "64:ff9b::808:808", "2a00::1"]


@pytest.mark.parametrize("address", OURS)
def test_an_address_of_no_public_host_is_refused(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_not(address: str) -> None:
    assert is_public(ip_address(address))


@pytest.fixture
def guarded(make_fetch, web):
    """Fetches with the real rules; this machine's server listens on what would be an ordinary port."""
    return lambda names=None, **more: make_fetch(names=names, permit=is_public, **more)


@pytest.mark.parametrize("address", OURS)
async def test_a_name_that_leads_there_is_refused_before_a_connection(guarded, web, address) -> None:
    fetch = guarded({"inside.example": [address]})
    with pytest.raises(ToolFailure, match="does not lead to the public internet"):
        await fetch(f"http://inside.example:{web.port}/")
    assert web.connections == 0


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "[::1]", "[::ffff:127.0.0.1]", "0"],
)
async def test_an_address_in_another_spelling_is_still_that_address(web, host) -> None:
    """With the system's own resolver, which knows all spellings."""
    from app.toolsets.search.fetcher import PageFetcher

    fetcher = PageFetcher("test", ports={web.port})
    with pytest.raises(ToolFailure, match=r"does not lead to the public internet|cannot be fetched|is no address"):
        await fetcher.fetch(f"http://{host}:{web.port}/")
    await fetcher.close()
    assert web.connections == 0


async def test_one_inner_address_among_public_ones_is_enough_to_refuse(guarded, web) -> None:
    fetch = guarded({"mixed.example": ["93.184.215.14", "127.0.0.1"]})
    with pytest.raises(ToolFailure, match="does not lead to the public internet"):
        await fetch(f"http://mixed.example:{web.port}/")


async def test_a_name_that_changes_its_address_after_the_check_gains_nothing(make_fetch, web) -> None:
    """The name is resolved once a connection; a second look would lead elsewhere."""
    answers = iter([["127.0.0.1"], ["127.0.0.2"], ["127.0.0.3"]])
    seen: list[str] = []

    def permit(address) -> bool:
        seen.append(str(address))
        return str(address) == "127.0.0.1"

    fetch = make_fetch(names={"rebind.example": lambda host: next(answers)}, permit=permit)
    web.routes["/"] = Reply(200, b"public", {"content-type": "text/plain", "connection": "close"})
    assert (await fetch(f"http://rebind.example:{web.port}/"))["text"] == "public"
    assert (fetch.resolved, seen) == (["rebind.example"], ["127.0.0.1"])
    with pytest.raises(ToolFailure, match="does not lead to the public internet"):
        await fetch(f"http://rebind.example:{web.port}/other")


@pytest.mark.parametrize(
    "location",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://inside.example/",
        "//inside.example/",
        "https://inside.example/",
        "http://[::ffff:10.0.0.1]/",
    ],
)
async def test_a_redirect_into_our_network_is_refused(make_fetch, web, location) -> None:
    web.routes["/a"] = Reply(302, b"", {"location": location})
    names = {"inside.example": ["10.0.0.1"], "169.254.169.254": ["169.254.169.254"]}
    names["::ffff:10.0.0.1"] = ["::ffff:10.0.0.1"]
    fetch = make_fetch(names=names, ports={web.port, 80, 443}, permit=lambda address: str(address) == "127.0.0.1")
    with pytest.raises(ToolFailure, match="does not lead to the public internet"):
        await fetch("/a")


@pytest.mark.parametrize(
    ("location", "said"),
    [
        ("file:///etc/passwd", "is not http:// or https://"),
        ("gopher://127.0.0.1:6379/_FLUSHALL", "is not http:// or https://"),
        ("http://user:secret@example.org/", "user name"),
        ("http://example.org:6379/", "on port 6379"),
        ("http://[::1", "no address|not http"),
    ],
)
async def test_a_redirect_is_checked_like_an_address(fetch, web, location, said) -> None:
    web.routes["/a"] = Reply(302, b"", {"location": location})
    with pytest.raises(ToolFailure, match=said) as failure:
        await fetch("/a")
    assert "secret" not in str(failure.value)


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://example.org/",
        "javascript:alert(1)",
        "data:text/html,<script>",
        "example.org",
        "http://",
        "http:///path",
        "http://exa mple.org/",
        "http://example.org:99999/",
        "http://example.org\r\nX-Evil: 1/",
        "\x00",
        "{{7*7}}",
        "http://[1::2::3]/",
        "http://" + "a" * 300 + "/",
    ],
)
async def test_what_is_no_web_address_is_refused_with_what_to_send(fetch, web, url) -> None:
    with pytest.raises(ToolFailure):
        await fetch(url)
    assert web.connections == 0


@pytest.mark.parametrize(
    ("rules", "host", "allowed"),
    [
        ({"blocked": ["evil.example"]}, "evil.example", False),
        ({"blocked": ["evil.example"]}, "www.EVIL.example", False),
        ({"blocked": ["evil.example"]}, "evil.example.", False),
        ({"blocked": ["evil.example"]}, "notevil.example", True),
        ({"allowed": ["good.example"]}, "docs.good.example", True),
        ({"allowed": ["good.example"]}, "good.example.evil.example", False),
        ({"allowed": ["good.example"], "blocked": ["bad.good.example"]}, "bad.good.example", False),
        ({"blocked": ["bücher.example"]}, "xn--bcher-kva.example", False),
        ({"blocked": ["xn--bcher-kva.example"]}, "bücher.example", False),
    ],
)
async def test_domain_lists_hold_with_all_subdomains(make_fetch, web, rules, host, allowed) -> None:
    fetch = make_fetch(rules=rules)
    web.routes["/"] = Reply(200, b"x", {"content-type": "text/plain"})
    if allowed:
        assert (await fetch(f"http://{host}:{web.port}/"))["text"] == "x"
    else:
        with pytest.raises(ToolFailure, match="of a domain that this server does not fetch from"):
            await fetch(f"http://{host}:{web.port}/")
        assert web.connections == 0
