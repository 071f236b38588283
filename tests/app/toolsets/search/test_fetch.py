"""Reading pages: what comes out as text, and every limit on the way."""

from __future__ import annotations

import asyncio
import gzip
import ssl
import time

import msgspec
import pytest
from loopback import Reply, endless, hang, hang_up, loopback

from app.protocol.handlers import InvalidArguments
from app.toolsets import ToolFailure, load
from app.toolsets.search.fetcher import FetchLimits, PageFetcher


def page(body: str | bytes, kind: str = "text/html; charset=utf-8", **headers: str) -> Reply:
    return Reply(200, body.encode() if isinstance(body, str) else body, {"content-type": kind, **headers})


async def test_a_page_comes_as_its_title_and_text(fetch, web) -> None:
    web.routes["/a"] = page("<title>News &amp; more</title><h1>Today</h1><p>It <b>rains</b>.<ul><li>a<li>b</ul>")
    answer = await fetch("/a#part")
    assert answer == {
        "url": f"{web.url}/a",
        "contentType": "text/html",
        "title": "News & more",
        "text": "# Today\n\nIt rains.\n\n- a\n- b",
        "characters": 27,
        "nextOffset": None,
        "cut": False,
    }
    assert {name: web.asked[0].headers.get(name) for name in ("host", "cookie", "authorization", "referer")} == {
        "host": f"127.0.0.1:{web.port}",
        "cookie": None,
        "authorization": None,
        "referer": None,
    }


async def test_a_long_page_can_be_read_on_and_is_fetched_once(fetch, web) -> None:
    web.routes["/a"] = page("x" * 250, "text/plain")
    first = await fetch("/a", max_characters=200)
    second = await fetch("/a", max_characters=200, offset=first["nextOffset"])
    assert (len(first["text"]), len(second["text"]), second["nextOffset"]) == (200, 50, None)
    assert len(web.asked) == 1
    with pytest.raises(ToolFailure, match="'offset' is 250: the text has 250 characters"):
        await fetch("/a", offset=250)


async def test_redirects_are_followed_and_the_last_address_is_told(fetch, web) -> None:
    web.routes["/a"] = Reply(302, b"", {"location": "/b?x=1"})
    web.routes["/b"] = page("here", "text/plain")
    assert (await fetch("/a"))["url"] == f"{web.url}/b?x=1"


async def test_redirects_in_a_circle_end(fetch, web) -> None:
    web.routes["/a"] = Reply(301, b"", {"location": "/a"})
    with pytest.raises(ToolFailure, match="redirects more than 5 times"):
        await fetch("/a")
    assert len(web.asked) == 6


async def test_an_endless_page_is_cut(make_fetch, web) -> None:
    fetch = make_fetch(max_bytes=5000)
    web.routes["/a"] = endless
    answer = await fetch("/a")
    assert (answer["characters"], answer["cut"]) == (5000, True)


async def test_a_bomb_is_cut_before_it_has_unfolded(make_fetch, web) -> None:
    fetch = make_fetch(max_bytes=5000)
    packed = gzip.compress(b"a" * 100_000_000)
    web.routes["/a"] = page(packed, "text/plain", **{"content-encoding": "gzip"})
    began = time.process_time()
    assert (await fetch("/a"))["characters"] == 5000
    assert time.process_time() - began < 1


@pytest.mark.parametrize("behaviour", [hang, "drip"])
async def test_a_slow_page_is_left(make_fetch, web, behaviour) -> None:
    async def drip(request, writer) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\n")
        while True:
            writer.write(b"a")
            await writer.drain()
            await asyncio.sleep(0.05)

    web.routes["/a"] = drip if behaviour == "drip" else behaviour
    fetch = make_fetch(timeout=0.3)
    with pytest.raises(ToolFailure, match=r"did not answer within 0\.3 s"):
        await fetch("/a")


async def test_a_name_that_takes_forever_to_resolve_is_left() -> None:
    async def resolve(host: str, port: int) -> list[str]:
        await asyncio.Event().wait()
        return []

    fetcher = PageFetcher("test", FetchLimits(timeout=0.2), resolve=resolve)
    with pytest.raises(ToolFailure, match=r"did not answer within 0\.2 s"):
        await fetcher.fetch("http://slow.example/")
    await fetcher.close()


@pytest.mark.parametrize("kind", ["image/png", "application/pdf", "application/octet-stream", "video/mp4", "nonsense"])
async def test_what_is_no_text_is_not_read(fetch, web, kind) -> None:
    web.routes["/a"] = page(b"\x89PNG", kind)
    with pytest.raises(ToolFailure, match="which is no text"):
        await fetch("/a")


@pytest.mark.parametrize("kind", ["application/json", "application/ld+json", "application/rss+xml", "text/markdown"])
async def test_other_text_comes_as_it_is(fetch, web, kind) -> None:
    web.routes["/a"] = page('{"a":\n  ["<b>", 1]}\n', kind)
    assert (await fetch("/a"))["text"] == '{"a":\n  ["<b>", 1]}'


@pytest.mark.parametrize(
    ("body", "kind", "text"),
    [
        ("Grüße".encode("latin-1"), "text/html; charset=ISO-8859-1", "Grüße"),
        (b'<meta charset="windows-1252"><p>\x80 5', "text/html", "€ 5"),
        ("日本".encode("shift_jis"), 'text/html; charset="Shift_JIS"', "日本"),
        (b"a\xffb", "text/html; charset=utf-8", "a�b"),
        (b"789c", "text/html; charset=hex", "789c"),
        (b"plain", "text/html; charset=zlib", "plain"),
        (b"plain", "text/html; charset=no-such", "plain"),
    ],
)
async def test_text_is_decoded_as_it_says_unless_that_is_no_text_encoding(fetch, web, body, kind, text) -> None:
    web.routes["/a"] = page(body, kind)
    assert (await fetch("/a"))["text"] == text


@pytest.mark.parametrize("status", [400, 403, 404, 410, 429, 500, 503])
async def test_an_error_of_the_page_is_told_and_not_kept(fetch, web, status) -> None:
    web.routes["/a"] = Reply(status, b"<p>no")
    for _ in range(2):
        with pytest.raises(ToolFailure, match=f"answered with status {status}"):
            await fetch("/a")
    assert len(web.asked) == 2


@pytest.mark.parametrize("head", [b"nonsense\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n", b"HTTP/1.1 200 OK\r\n: x\r\n\r\n"])
async def test_a_server_that_speaks_no_http_is_told(fetch, web, head) -> None:
    web.routes["/a"] = Reply(head=head)
    with pytest.raises(ToolFailure, match="cannot be fetched"):
        await fetch("/a")


async def test_a_connection_that_breaks_is_told(fetch, web) -> None:
    web.routes["/a"] = hang_up
    with pytest.raises(ToolFailure, match="cannot be fetched"):
        await fetch("/a")


async def test_an_encoding_that_was_not_asked_for_is_refused(fetch, web) -> None:
    web.routes["/a"] = page(b"x", "text/plain", **{"content-encoding": "br"})
    with pytest.raises(ToolFailure, match="encoded as 'br'"):
        await fetch("/a")


async def test_too_many_pages_a_minute_are_refused_with_when_to_come_back(make_fetch, web) -> None:
    fetch = make_fetch(per_minute=6)
    web.routes |= {f"/{number}": page("x", "text/plain") for number in range(3)}
    await fetch("/0")
    with pytest.raises(ToolFailure, match=r"Too many pages: 6 a minute .* Try again in \d+ s"):
        await fetch("/1")
    await fetch("/0")


async def test_over_tls_the_name_is_sent_and_its_certificate_checked(make_fetch, certificates) -> None:
    server_side, client_side = certificates("shop.example")
    async with loopback(server_side) as shop:
        shop.routes["/a"] = page("secure", "text/plain")
        fetch = make_fetch(tls=lambda: client_side, ports={shop.port})
        answer = await fetch(f"https://shop.example:{shop.port}/a")
        assert answer["text"] == "secure"
        assert shop.server_names == ["shop.example"]
        assert shop.asked[0].headers["host"] == f"shop.example:{shop.port}"
        with pytest.raises(ToolFailure, match=r"cannot be fetched: .*certificate"):
            await fetch(f"https://other.example:{shop.port}/a")


@pytest.fixture
def certificates(tmp_path):
    """Makes a server's and a client's side of TLS for one name."""
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    def make(name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(1)
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
            .sign(key, hashes.SHA256())
        )
        pem = certificate.public_bytes(serialization.Encoding.PEM)
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        (tmp_path / "both.pem").write_bytes(private + pem)
        server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server_side.load_cert_chain(tmp_path / "both.pem")
        return server_side, ssl.create_default_context(cadata=pem.decode())

    return make


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, "'url' is missing"),
        ({"url": ""}, "'url' is"),
        ({"url": "http://a/" + "x" * 3000}, "'url' is"),
        ({"url": 5}, "'url' is 5"),
        ({"url": "http://a/", "max_characters": 10**9}, "'max_characters' is"),
        ({"url": "http://a/", "offset": -1}, "'offset' is -1"),
        ({"url": "http://a/", "headers": {}}, "'headers' is unknown"),
    ],
)
async def test_wrong_arguments_are_told(context, arguments, said) -> None:
    made = load(["search"], given=[PageFetcher("test")]).tool("fetch_page")
    with pytest.raises(InvalidArguments) as refused:
        await made.call(msgspec.Raw(msgspec.json.encode(arguments)), context)
    assert said in str(refused.value)
