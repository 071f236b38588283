"""What the Redis store does beyond the contract, against real servers: TLS, passwords, Sentinels, outages, economy."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import subprocess
import time
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from app.sessions.redis import RedisStore
from app.sessions.store import Session, StoreLimits, StoreUnavailable, new_session_id


def a_session() -> Session:
    return Session(id=new_session_id(), revision="2025-11-25")


@pytest.fixture
async def open_store():
    opened = []

    def make(url: str, **options) -> RedisStore:
        opened.append(RedisStore(url, **options))
        return opened[-1]

    yield make
    for store in opened:
        await store.close()


async def works(store: RedisStore) -> bool:
    session = a_session()
    await store.create(session)
    async with store.follow_events(session.id, "main") as events:
        await store.append(session.id, "main", b"hello")
        async with asyncio.timeout(10):
            return (await anext(events)).data == b"hello"


async def eventually_works(store: RedisStore, seconds: float = 30) -> None:
    async with asyncio.timeout(seconds):
        while True:
            try:
                assert await works(store)
            except StoreUnavailable:
                await asyncio.sleep(0.1)
            else:
                return


async def test_a_password_is_used_and_a_wrong_one_is_not_shown(make_redis, open_store) -> None:
    server = make_redis("--requirepass", "right-one").start()
    assert await works(open_store(f"redis://:right-one@127.0.0.1:{server.port}"))
    with pytest.raises(StoreUnavailable) as refused:
        await open_store(f"redis://:wrong-one@127.0.0.1:{server.port}").ping()
    assert "wrong-one" not in str(refused.value)


def certificate(folder: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "redis for a test")])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    folder.mkdir(parents=True, exist_ok=True)
    public, private = folder / "cert.pem", folder / "key.pem"
    public.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return public, private


async def test_tls_is_spoken_and_a_certificate_that_nobody_vouches_for_is_refused(
    make_redis, open_store, tmp_path
) -> None:
    public, private = certificate(tmp_path / "tls")
    tls = ["--tls-cert-file", str(public), "--tls-key-file", str(private), "--tls-ca-cert-file", str(public)]
    server = make_redis(*tls, "--tls-auth-clients", "no")
    server.options = (*server.options, "--port", "0", "--tls-port", str(server.port))
    server.ping[1:1] = ["--tls", "--cacert", str(public)]
    server.ping[1:1] = ["-h", "127.0.0.1"]
    server.start()
    assert await works(open_store(f"rediss://127.0.0.1:{server.port}?ssl_ca_certs={public}", timeout=5))
    with pytest.raises(StoreUnavailable):
        await open_store(f"rediss://127.0.0.1:{server.port}").ping()
    with pytest.raises(StoreUnavailable):
        await open_store(f"redis://127.0.0.1:{server.port}").ping()


async def test_a_failover_of_sentinels_is_followed_and_sessions_survive_it(make_redis, open_store) -> None:
    master = make_redis("--requirepass", "pw", "--masterauth", "pw").start()
    replica = make_redis(
        "--requirepass", "pw", "--masterauth", "pw", "--replicaof", "127.0.0.1", str(master.port)
    ).start()
    watch = (
        f"sentinel monitor mymaster 127.0.0.1 {master.port} 2\nsentinel auth-pass mymaster pw\n"
        "sentinel down-after-milliseconds mymaster 500\nsentinel failover-timeout mymaster 2000\n"
    )
    sentinels = [make_redis(sentinel_configuration=watch).start() for _ in range(3)]
    deadline = time.monotonic() + 30
    while any(_known(sentinel) != (2, 1) for sentinel in sentinels):
        assert time.monotonic() < deadline, "the sentinels did not find each other"
        await asyncio.sleep(0.1)

    hosts = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in sentinels)
    store = open_store(f"redis+sentinel://:pw@{hosts}/mymaster")
    session = a_session()
    await store.create(session)
    async with store.follow_events(session.id, "main", after="main:0") as events:
        await store.append(session.id, "main", b"before")
        assert (await anext(events)).data == b"before"
        offset = _info(master, "master_repl_offset")
        while int(_info(replica, "slave_repl_offset")) < int(offset):  # noqa: ASYNC110 Redis tells nobody
            await asyncio.sleep(0.05)
        master.kill()
        sentinels[0].kill()
        await eventually_works(store)
        assert (await store.load(session.id)).revision == "2025-11-25"
        await store.append(session.id, "main", b"after")
        async with asyncio.timeout(10):
            assert (await anext(events)).data == b"after"


def _info(server, field: str) -> str:
    command = ["redis-cli", "-p", str(server.port), "--no-auth-warning", "-a", "pw", "info", "replication"]
    text = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout
    return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)[field].strip()


def _known(sentinel) -> tuple[int, int]:
    lines = sentinel.cli("sentinel", "master", "mymaster").splitlines()
    state = dict(zip(lines[::2], lines[1::2], strict=False))
    return int(state["num-other-sentinels"]), int(state["num-slaves"])


async def test_a_redis_that_is_not_there_is_told_soon(make_redis, open_store) -> None:
    store = open_store(make_redis().url)
    began = time.monotonic()
    for attempt in (
        store.ping(),
        store.create(a_session()),
        store.load("x"),
        store.append("x", "main", b""),
        store.end("x"),
        store.publish("x", b""),
    ):
        with pytest.raises(StoreUnavailable):
            await attempt
    with pytest.raises(StoreUnavailable):
        async with store.follow("x"):
            pass
    assert time.monotonic() - began < 5


async def test_a_frozen_redis_is_told_within_the_deadline(redis_server, open_store) -> None:
    store = open_store(redis_server.url, timeout=0.5)
    await store.ping()
    redis_server.freeze()
    began = time.monotonic()
    for _ in range(20):
        with pytest.raises(StoreUnavailable):
            await store.load("x")
    assert time.monotonic() - began < 5
    redis_server.thaw()
    await eventually_works(store)


async def test_a_follower_outlives_an_outage_and_misses_nothing_that_redis_kept(redis_server, open_store) -> None:
    writer, reader = open_store(redis_server.url), open_store(redis_server.url)
    session = a_session()
    await writer.create(session)
    async with reader.follow_events(session.id, "main") as events:
        await writer.append(session.id, "main", b"1")
        assert (await anext(events)).sequence == 1
        redis_server.cli("client", "kill", "type", "pubsub")
        for _ in range(10):
            await writer.append(session.id, "main", b"more")
        async with asyncio.timeout(10):
            assert [(await anext(events)).sequence for _ in range(10)] == list(range(2, 12))


async def test_a_session_in_use_is_not_asked_of_redis_again(redis_server, open_store) -> None:
    store = open_store(redis_server.url)
    session = a_session()
    session.initialized = True
    await store.create(session)
    async with asyncio.timeout(10):
        while not store._link.trusted:  # noqa: ASYNC110 nobody else wants to know
            await asyncio.sleep(0.01)
    await store.load(session.id)
    before = _commands(redis_server)
    for _ in range(200):
        assert await store.load(session.id) is not None
        store.touch(session.id)
    assert _commands(redis_server) - before < 10


def _commands(server) -> int:
    text = server.cli("info", "stats")
    return int(dict(line.split(":", 1) for line in text.splitlines() if ":" in line)["total_commands_processed"])


async def test_what_is_cached_is_not_trusted_while_changes_cannot_be_heard(redis_server, open_store) -> None:
    here, there = open_store(redis_server.url), open_store(redis_server.url)
    session = a_session()
    session.initialized = True
    await here.create(session)
    loaded = await there.load(session.id)
    redis_server.cli("client", "kill", "type", "pubsub")
    loaded.log_level = "error"
    await there.save(loaded)
    async with asyncio.timeout(5):
        while (await here.load(session.id)).log_level != "error":  # noqa: ASYNC110 nobody tells
            await asyncio.sleep(0)  # the cut connection has to be noticed


@pytest.mark.parametrize("way", ["killed", "frozen"])
async def test_what_is_cached_is_not_served_once_redis_is_known_to_be_away(redis_server, open_store, way) -> None:
    store = open_store(redis_server.url, timeout=0.5)
    session = a_session()
    session.initialized = True
    await store.create(session)
    await store.load(session.id)
    redis_server.kill() if way == "killed" else redis_server.freeze()
    with pytest.raises(StoreUnavailable):
        await store.append(session.id, "main", b"x")
    with pytest.raises(StoreUnavailable):
        await store.load(session.id)


async def test_every_key_has_a_time_to_live_and_our_prefix(redis_server, open_store) -> None:
    store = open_store(redis_server.url, limits=StoreLimits(ttl=100))
    session = a_session()
    await store.create(session)
    await store.append(session.id, "main", b"x")
    keys = redis_server.cli("keys", "*").splitlines()
    assert {key.partition(":")[0] for key in keys} == {"slipway"}
    lives = {key: int(redis_server.cli("ttl", key)) for key in keys}
    assert len(lives) == 3
    assert all(0 < life <= 100 for life in lives.values())
    await store.end(session.id)
    assert redis_server.cli("keys", "*") == ""


async def test_closing_a_store_leaves_no_task_behind(redis_server) -> None:
    store = RedisStore(redis_server.url)
    session = a_session()
    await store.create(session)
    store.touch(session.id)
    async with store.follow("channel"):
        pass
    await store.close()
    assert asyncio.all_tasks() == {asyncio.current_task()}
