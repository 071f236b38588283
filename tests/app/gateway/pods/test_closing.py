"""Nothing of a client is open once it was closed, however its server takes that."""

import asyncio
import datetime
import ipaddress
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from app.gateway.pods.api import Api
from app.kubernetes.access import Access

HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
PIECE = b"10000\r\n" + b"x" * 0xFFFF + b"\n\r\n"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For 127.0.0.1, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.UTC)
    alternative = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(alternative, critical=False)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("tls") / "server.pem"
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file.write_bytes(key.private_bytes(*form) + made.public_bytes(serialization.Encoding.PEM))
    return file


@pytest.fixture
async def server(certificate: Path) -> AsyncIterator[tuple[str, int]]:
    """Answers with a few lines or many, and then hears nothing more: not that its client is gone, either."""
    done = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        writer.transport.pause_reading()
        writer.write(HEAD + PIECE * (100 if b"/many" in head else 1))
        await done.wait()
        writer.transport.abort()

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    listener = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    port = listener.sockets[0].getsockname()[1]
    yield f"https://127.0.0.1:{port}", port
    done.set()
    listener.close()
    await asyncio.sleep(0.05)


def connected(port: int) -> list[object]:
    """Our ends of connections to it."""
    found = psutil.Process().net_connections("tcp")
    return [each for each in found if each.raddr and each.raddr.port == port]


@pytest.mark.parametrize("path", ["/few", "/many"])
async def test_a_server_that_never_says_goodbye_leaves_no_socket(certificate, server, path):
    address, port = server

    async def login() -> Access:
        return Access(server=address, ca_file=str(certificate))

    api = Api(login)
    async with api.lines(path, {}, silence=None) as lines:
        await anext(lines)
        assert len(connected(port)) == 1
    await api.close()
    assert connected(port) == []
