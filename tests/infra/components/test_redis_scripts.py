"""The scripts that Redis pods run, run for real: redis-server and redis-cli on loopback, one directory a pod."""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from app.sessions.redis_address import RedisAddress
from app.sessions.redis_client import RedisClient
from app.sessions.store import StoreUnavailable
from infra.components._files import FILES
from infra.components.redis._nodes import Nodes
from infra.components.redis._proxy import configuration

SCRIPTS = FILES / "redis"
PASSWORD = 'p"w\\d $1 %s'  # what a shell, a configuration file or a format string could trip over
PATIENCE = 60.0


def need(program: str) -> None:
    if shutil.which(program) is None:
        remedy = f"{program} is not installed: on Debian, apt-get install {program}"
        pytest.fail(remedy) if os.environ.get("CI") == "true" else pytest.skip(remedy)


@pytest.fixture(autouse=True)
def _redis_is_installed() -> None:
    need("redis-server")


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def eventually(check, what: str):
    """Ask until the answer is truthy: programs of others give no sign when they are there."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if answer := check():
            return answer
        time.sleep(0.05)
    raise AssertionError(f"{what} did not happen within {PATIENCE:.0f} s")


class Cluster:
    """Redis nodes and Sentinels, each as the pod would run it."""

    def __init__(self, root: Path, *, redis: int, sentinels: int, append_only: bool = True) -> None:
        numbers = free_ports(redis + sentinels)
        self.root = root
        self.redis = [f"localhost:{port}" for port in numbers[:redis]]
        self.sentinels = [f"localhost:{port}" for port in numbers[redis:]]
        self.append_only = append_only
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def environment(self, node: str | None = None, **more: str) -> dict[str, str]:
        directory = self.root / (node or "job").replace(":", "-")
        directory.mkdir(exist_ok=True)
        return {
            "PATH": os.environ["PATH"],
            "REDIS_NODES": " ".join(self.redis),
            "SENTINEL_NODES": " ".join(self.sentinels),
            "MASTER_SET": "slipway",
            "DATA_DIR": str(directory),
            "REDISCLI_AUTH": PASSWORD,
            "SELF": node or "",
            "APPEND_ONLY": "yes" if self.append_only else "no",
            "MAX_MEMORY": "67108864",
            "MIN_REPLICAS": "0",
            "FAILOVER_WAIT_SECONDS": "20",
            "SENTINEL_WAIT_SECONDS": "20",
            "QUORUM": "2",
            "MASTER_WAIT_SECONDS": "10",
            "DOWN_AFTER_MILLISECONDS": "2000",
            "FAILOVER_TIMEOUT_MILLISECONDS": "3000",
            **more,
        }

    def run(self, script: str, node: str | None = None, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["sh", str(SCRIPTS / script)],
            env=self.environment(node, **more),
            capture_output=True,
            text=True,
            timeout=60,
        )

    def start(self, *nodes: str) -> None:
        for node in nodes:
            script = "start-sentinel.sh" if node in self.sentinels else "start-redis.sh"
            with (self.root / f"{node.replace(':', '-')}.log").open("ab") as log:
                self.running[node] = subprocess.Popen(
                    ["sh", str(SCRIPTS / script)], env=self.environment(node), stdout=log, stderr=log
                )

    def stop(self, *nodes: str, how: signal.Signals = signal.SIGKILL) -> None:
        for node in nodes:
            process = self.running.pop(node)
            process.send_signal(how)
            process.wait(PATIENCE)

    def url(self) -> str:
        """What the component would give to an app."""
        login = quote(PASSWORD, safe="")
        return f"redis+sentinel://:{login}@{','.join(self.sentinels)}/slipway/0?sentinel_password={login}"

    def ask(self, node: str, *command: str) -> str:
        host, port = node.split(":")
        done = subprocess.run(
            ["redis-cli", "-h", host, "-p", port, *command],
            env={"PATH": os.environ["PATH"], "REDISCLI_AUTH": PASSWORD},
            capture_output=True,
            text=True,
            timeout=20,
        )
        return done.stdout.strip()

    def role(self, node: str) -> str:
        return self.ask(node, "ROLE").split("\n")[0]

    def master(self) -> str:
        """The one node that calls itself master, or nothing."""
        masters = [node for node in self.redis if node in self.running and self.role(node) == "master"]
        return masters[0] if len(masters) == 1 else ""

    def ready(self, node: str) -> bool:
        script = "ready-sentinel.sh" if node in self.sentinels else "ready-redis.sh"
        return self.run(script, node).returncode == 0

    def all_ready(self) -> bool:
        return all(self.ready(node) for node in self.running)

    def watch(self, sentinel: str) -> dict[str, str]:
        """What a Sentinel says of the master."""
        fields = self.ask(sentinel, "SENTINEL", "MASTER", "slipway").split("\n")
        return dict(zip(fields[::2], fields[1::2], strict=False))

    def settled(self) -> bool:
        """Every Sentinel knows the others and both replicas, and they agree on the master."""
        for sentinel in self.sentinels:
            known = self.watch(sentinel)
            if known.get("num-other-sentinels") != str(len(self.sentinels) - 1):
                return False
            if known.get("num-slaves") != str(len(self.redis) - 1) or known.get("flags") != "master":
                return False
        return self.all_ready()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Callable[..., Cluster]]:
    made: list[Cluster] = []

    def make(**given: int | bool) -> Cluster:
        made.append(Cluster(tmp_path, **given))
        return made[-1]

    yield make
    for each in made:
        each.stop(*list(each.running))


@pytest.fixture
def trio(cluster: Callable[..., Cluster]) -> Cluster:
    """Three nodes and three Sentinels that have found one another."""
    made = cluster(redis=3, sentinels=3)
    made.start(*made.redis, *made.sentinels)
    eventually(made.settled, "the first election")
    return made


def test_a_single_node_asks_for_its_password_and_is_ready(cluster):
    made = cluster(redis=1, sentinels=0)
    [node] = made.redis
    made.start(node)
    eventually(lambda: made.ready(node), "readiness")
    host, port = node.split(":")
    unknown = subprocess.run(
        ["redis-cli", "-h", host, "-p", port, "GET", "x"],
        capture_output=True,
        text=True,
        timeout=20,
        env=made.environment() | {"REDISCLI_AUTH": ""},
    )
    assert "NOAUTH" in unknown.stdout
    assert made.ask(node, "CONFIG", "GET", "maxmemory-policy").split("\n")[1] == "noeviction"
    assert made.ask(node, "CONFIG", "GET", "maxmemory").split("\n")[1] == "67108864"


def test_no_probe_and_no_copy_puts_the_password_on_a_command_line():
    for script in SCRIPTS.glob("*.sh"):
        for line in script.read_text("utf-8").splitlines():
            assert not ("redis-cli" in line and ("-a " in line or "--pass" in line)), f"{script.name}: {line}"


def test_data_outlives_a_kill_and_a_restart(cluster):
    made = cluster(redis=1, sentinels=0)
    [node] = made.redis
    made.start(node)
    eventually(lambda: made.ready(node), "readiness")
    assert made.ask(node, "SET", "kept", "yes") == "OK"
    made.stop(node, how=signal.SIGTERM)
    made.start(node)
    eventually(lambda: made.ready(node), "readiness after the restart")
    assert made.ask(node, "GET", "kept") == "yes"


def test_first_node_becomes_master_and_the_others_its_replicas(trio):
    assert trio.master() == trio.redis[0]
    assert [trio.role(node) for node in trio.redis[1:]] == ["slave", "slave"]
    for sentinel in trio.sentinels:
        address = trio.ask(sentinel, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", "slipway")
        assert address.replace("\n", ":") == trio.redis[0]


def test_a_killed_master_is_replaced_and_returns_as_a_replica_with_every_write(trio):
    old = trio.master()
    assert trio.ask(old, "SET", "session", "alive") == "OK"
    assert trio.ask(old, "WAIT", "2", "5000") == "2"
    trio.stop(old)
    new = eventually(trio.master, "the failover")
    assert new != old
    assert trio.ask(new, "GET", "session") == "alive"
    trio.start(old)
    eventually(lambda: trio.role(old) == "slave" and trio.ready(old), "the return as a replica")
    assert trio.master() == new
    assert trio.ask(old, "GET", "session") == "alive"


async def test_a_master_that_stops_in_an_orderly_way_loses_no_acknowledged_write(trio):
    old = trio.master()
    client = RedisClient(RedisAddress.parse(trio.url()), timeout=5.0)
    acknowledged: list[str] = []
    handed_over = asyncio.Event()

    async def write_until_the_end() -> None:
        number = 0
        while not handed_over.is_set() or len(acknowledged) < 100:
            number += 1
            try:
                await client.execute("SET", f"write-{number}", "x")
            except StoreUnavailable:
                await asyncio.sleep(0.05)
                continue
            acknowledged.append(f"write-{number}")

    writer = asyncio.create_task(write_until_the_end())
    try:
        done = await asyncio.to_thread(trio.run, "hand-over.sh", old)
        assert done.returncode == 0, done.stderr
        assert trio.role(old) == "slave"
        handed_over.set()
        await asyncio.wait_for(writer, PATIENCE)
    finally:
        writer.cancel()
        await client.close()
    new = trio.master()
    assert new
    assert trio.ask(new, "EXISTS", *acknowledged) == str(len(acknowledged))


def test_a_replica_that_stops_hands_over_nothing(trio):
    replica = trio.redis[2]
    assert trio.run("hand-over.sh", replica).returncode == 0
    assert trio.master() == trio.redis[0]


async def test_the_app_follows_the_master_through_its_one_url(trio):
    client = RedisClient(RedisAddress.parse(trio.url()), timeout=5.0)
    try:
        assert await client.execute("SET", "session", "alive")
        old = trio.master()
        assert trio.ask(old, "WAIT", "2", "5000") == "2"
        trio.stop(old)
        eventually(trio.master, "the failover")
        eventually(
            lambda: (
                trio.ask(trio.sentinels[0], "SENTINEL", "GET-MASTER-ADDR-BY-NAME", "slipway").replace("\n", ":") != old
            ),
            "news of it",
        )
        assert await read(client, "session") == b"alive"
    finally:
        await client.close()


async def read(client: RedisClient, key: str) -> bytes:
    """Read, as an app does that tries again after it was told that Redis is away."""
    for _ in range(200):
        try:
            return await client.execute("GET", key)
        except StoreUnavailable:
            await asyncio.sleep(0.1)
    raise AssertionError("Redis never came back")


@pytest.fixture
def proxy(trio: Cluster, tmp_path: Path) -> Iterator[str]:
    """The proxy before the trio, as its pod runs it; gives its address."""
    need("haproxy")
    [port, health] = free_ports(2)
    config = tmp_path / "haproxy.cfg"
    config.write_text(configuration(Nodes(redis=tuple(trio.redis)), authenticated=True))
    environment = {
        "PATH": os.environ["PATH"],
        "REDIS_PASSWORD": PASSWORD,
        "REDIS_PORT": str(port),
        "HEALTH_PORT": str(health),
    }
    with (tmp_path / "haproxy.log").open("wb") as log:
        process = subprocess.Popen(["haproxy", "-W", "-db", "-f", str(config)], env=environment, stdout=log, stderr=log)
    eventually(lambda: trio.ask(f"localhost:{port}", "PING") == "PONG", "an answer through the proxy")
    yield f"localhost:{port}"
    process.terminate()
    process.wait(PATIENCE)


def test_the_proxy_leads_to_the_master_and_follows_a_failover(trio, proxy):
    assert trio.ask(proxy, "SET", "session", "alive") == "OK"
    assert trio.ask(trio.redis[0], "WAIT", "2", "5000") == "2"
    trio.stop(trio.redis[0])
    eventually(trio.master, "the failover")
    eventually(lambda: trio.ask(proxy, "SET", "after", "failover") == "OK", "writing through the proxy again")
    assert trio.ask(proxy, "GET", "session") == "alive"


def test_sentinels_keep_their_identity_over_a_restart(trio):
    restarted, watcher = trio.sentinels[:2]
    before = trio.ask(restarted, "SENTINEL", "MYID")
    trio.stop(restarted)
    trio.start(restarted)
    eventually(lambda: trio.ready(restarted), "readiness of the Sentinel")
    assert trio.ask(restarted, "SENTINEL", "MYID") == before
    eventually(trio.settled, "agreement")
    assert "OK 3 usable Sentinels" in trio.ask(watcher, "SENTINEL", "CKQUORUM", "slipway")


def test_a_sentinel_that_was_scaled_away_is_no_voter_any_more(trio):
    trio.stop(*trio.sentinels)
    gone = trio.sentinels.pop()
    trio.start(*trio.sentinels)
    eventually(trio.settled, "agreement of the two")
    known = trio.ask(trio.sentinels[0], "SENTINEL", "SENTINELS", "slipway")
    assert gone.split(":")[1] not in known.split("\n")


def test_after_an_outage_of_everything_the_last_master_is_master_again(trio):
    trio.stop(trio.redis[0])
    last = eventually(trio.master, "the failover")
    assert trio.ask(last, "SET", "newest", "write") == "OK"
    rest = [node for node in trio.redis[1:] if node != last]
    eventually(lambda: trio.ask(rest[0], "GET", "newest") == "write", "replication")
    # Sentinels that die in the middle of a failover have written down the master of before.
    port = last.split(":")[1]
    eventually(lambda: all(trio.watch(each).get("port") == port for each in trio.sentinels), "their agreement")
    trio.stop(*trio.sentinels)
    trio.stop(*rest, last)
    trio.start(*trio.redis, *trio.sentinels)
    eventually(lambda: trio.settled() and trio.master() == last, "the recovery")
    assert all(trio.ask(node, "GET", "newest") == "write" for node in trio.redis)
    eventually(lambda: trio.watch(trio.sentinels[0])["down-after-milliseconds"] == "2000", "the end of the patience")


def test_after_an_outage_that_took_the_master_for_good_a_replica_takes_over(trio):
    assert trio.ask(trio.redis[0], "SET", "newest", "write") == "OK"
    assert trio.ask(trio.redis[0], "WAIT", "2", "5000") == "2"
    trio.stop(*trio.sentinels, *trio.redis)
    trio.start(*trio.redis[1:], *trio.sentinels)
    new = eventually(trio.master, "the takeover")
    assert trio.ask(new, "GET", "newest") == "write"


def test_an_empty_master_waits_for_a_failover_and_does_not_wipe_its_replicas(cluster):
    made = cluster(redis=3, sentinels=3, append_only=False)
    made.start(*made.redis, *made.sentinels)
    eventually(made.settled, "the first election")
    assert made.ask(made.redis[0], "SET", "session", "alive") == "OK"
    assert made.ask(made.redis[0], "WAIT", "2", "5000") == "2"
    made.stop(made.redis[0])
    made.start(made.redis[0])
    eventually(lambda: made.role(made.redis[0]) == "slave" and made.ready(made.redis[0]), "the return as a replica")
    assert made.ask(made.master(), "GET", "session") == "alive"


def test_a_copy_is_taken_from_a_replica_checked_and_restored(trio, tmp_path):
    assert trio.ask(trio.redis[0], "SET", "session", "alive") == "OK"
    assert trio.ask(trio.redis[0], "WAIT", "2", "5000") == "2"
    copies = tmp_path / "copies"
    copies.mkdir()
    done = trio.run("backup.sh", BACKUP_DIR=str(copies), RETENTION="2")
    assert done.returncode == 0, done.stderr
    assert f"copied {trio.redis[1]} to" in done.stdout
    [copy] = copies.iterdir()
    trio.stop(*trio.sentinels, *trio.redis)
    for node in trio.redis:
        shutil.rmtree(trio.environment(node)["DATA_DIR"])
    first = trio.redis[0]
    shutil.copy(copy, Path(trio.environment(first)["DATA_DIR"]) / "restore.rdb")
    trio.start(first)
    eventually(lambda: trio.ready(first), "the restore")
    assert trio.ask(first, "GET", "session") == "alive"
    trio.start(*trio.redis[1:], *trio.sentinels)
    eventually(trio.settled, "replication of what was restored")
    assert trio.ask(trio.redis[2], "GET", "session") == "alive"


def test_only_the_newest_copies_are_kept(cluster, tmp_path):
    made = cluster(redis=1, sentinels=0)
    made.start(*made.redis)
    eventually(lambda: made.ready(made.redis[0]), "readiness")
    copies = tmp_path / "copies"
    copies.mkdir()
    for day in range(1, 5):
        (copies / f"redis-2020010{day}T030000Z.rdb").write_bytes(b"old")
    (copies / "redis-20200105T030000Z.rdb.partial").write_bytes(b"interrupted")
    (copies / "notes.txt").write_text("not ours")
    done = made.run("backup.sh", BACKUP_DIR=str(copies), RETENTION="3")
    assert done.returncode == 0, done.stderr
    kept = sorted(path.name for path in copies.iterdir())
    assert kept[0] == "notes.txt"
    assert kept[1:3] == ["redis-20200103T030000Z.rdb", "redis-20200104T030000Z.rdb"]
    assert len(kept) == 4
    assert kept[3] > "redis-2026"


def test_a_copy_without_a_source_fails_and_says_so(cluster, tmp_path):
    made = cluster(redis=1, sentinels=0)
    done = made.run("backup.sh", BACKUP_DIR=str(tmp_path), RETENTION="3")
    assert done.returncode == 1
    assert f"none of {made.redis[0]} answers" in done.stderr


def test_a_restore_file_that_is_no_copy_stops_the_start_and_keeps_the_data(cluster):
    made = cluster(redis=1, sentinels=0)
    [node] = made.redis
    directory = Path(made.environment(node)["DATA_DIR"])
    (directory / "restore.rdb").write_bytes(b"this is no RDB file")
    (directory / "appendonlydir").mkdir()
    done = made.run("start-redis.sh", node)
    assert done.returncode != 0
    assert (directory / "appendonlydir").is_dir()
