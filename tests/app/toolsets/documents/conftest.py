"""Both document stores: SQLite, and FerretDB, which speaks MongoDB's protocol and is built for the tests."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from app.toolsets.documents.mongo import MongoStore
from app.toolsets.documents.service import Documents, Limits, Wanted
from app.toolsets.documents.sqlite import SqliteStore

sys.path.insert(0, str(Path(__file__).parents[3] / "cluster"))
from harness.build import BuildError, Tool

CI = os.environ.get("CI") == "true"


class FerretDB:
    """One server that can be frozen, killed and started again on its port."""

    def __init__(self, program: Path, folder: Path) -> None:
        self._program = program
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            self.port: int = listener.getsockname()[1]

    def uri(self, database: str) -> str:
        return f"mongodb://127.0.0.1:{self.port}/{database}"

    def start(self) -> FerretDB:
        self._folder.mkdir(parents=True, exist_ok=True)
        command = [str(self._program), "-listen", f"127.0.0.1:{self.port}", "-state", str(self._folder)]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + 20
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return self
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"ferretdb did not start: {(self._folder / 'log').read_text()[-2000:]}")
            time.sleep(0.02)

    def freeze(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        os.waitpid(self._process.pid, os.WUNTRACED)  # until it has stopped

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(timeout=10)
            self._process = None


@pytest.fixture(scope="session")
def ferretdb_program() -> Path:
    try:
        return Tool("ferretdb").binary("ferretdb")
    except BuildError:
        go = "" if shutil.which("go") else "install Go 1.24 or later, then "
        remedy = f"there is no FerretDB: {go}run `make test`, or python tests/tools.py, which builds it"
        if CI:
            pytest.fail(remedy)
        pytest.skip(remedy)


@pytest.fixture(scope="session")
def ferretdb(ferretdb_program: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FerretDB]:
    """A running server for tests that do not stop it; each uses a database of its own."""
    server = FerretDB(ferretdb_program, tmp_path_factory.mktemp("ferretdb")).start()
    yield server
    server.kill()


@pytest.fixture
def own_ferretdb(ferretdb_program: Path, tmp_path: Path) -> Iterator[FerretDB]:
    """A running server that the test may stop."""
    server = FerretDB(ferretdb_program, tmp_path / "ferretdb").start()
    yield server
    server.kill()


@pytest.fixture
def database() -> str:
    """A name that no other test uses."""
    return f"test_{uuid.uuid4().hex[:16]}"


@pytest.fixture
async def sqlite() -> AsyncIterator[SqliteStore]:
    store = SqliteStore(max_bytes=64 * 1024 * 1024, seconds=10)
    yield store
    await store.close()


@pytest.fixture
async def mongo(ferretdb: FerretDB, database: str) -> AsyncIterator[MongoStore]:
    store = MongoStore(ferretdb.uri(database), seconds=10)
    yield store
    await store.close()


@pytest.fixture(params=["sqlite", "mongo"])
def store(request: pytest.FixtureRequest) -> SqliteStore | MongoStore:
    """Each of the two."""
    return request.getfixturevalue(request.param)


class Desk:
    """The service with the usual arguments left out, and answers decoded."""

    def __init__(self, documents: Documents) -> None:
        self.documents = documents

    async def insert(self, *documents: dict[str, Any], into: str = "things") -> list[Any]:
        return await self.documents.insert(into, documents)

    async def page(
        self, wanted: dict[str, Any] | None = None, *, of: str = "things", **more: Any
    ) -> tuple[list[dict[str, Any]], str | None]:
        asked = {"projection": {}, "sort": {}, "limit": 100, **more}
        found, after = await self.documents.find(of, Wanted(filter=wanted or {}, **asked))
        return [msgspec.json.decode(document) for document in found], after

    async def find(self, wanted: dict[str, Any] | None = None, **more: Any) -> list[dict[str, Any]]:
        return (await self.page(wanted, **more))[0]

    async def ids(self, wanted: dict[str, Any], **more: Any) -> list[Any]:
        return [document["_id"] for document in await self.find(wanted, **more)]

    async def update(
        self, wanted: dict[str, Any], change: dict[str, Any], *, many: bool = False, upsert: bool = False
    ) -> tuple[int, int, Any]:
        done, inserted = await self.documents.update("things", wanted, change, many=many, upsert=upsert)
        return done.matched, done.modified, inserted

    async def delete(self, wanted: dict[str, Any], *, many: bool = False) -> int:
        return await self.documents.delete("things", wanted, many=many)

    async def aggregate(self, *stages: dict[str, Any], limit: int = 100) -> list[dict[str, Any]]:
        found, _ = await self.documents.aggregate("things", list(stages), limit=limit, milliseconds=None)
        return [msgspec.json.decode(document) for document in found]


MakeDesk = Callable[..., Desk]


@pytest.fixture
def make_desk(store: SqliteStore | MongoStore) -> MakeDesk:
    """The service on each store, with limits as in `max_result_bytes=2000`."""
    return lambda **limits: Desk(Documents(store, Limits(seconds=10, **limits)))


@pytest.fixture
def desk(make_desk: MakeDesk) -> Desk:
    return make_desk()


@pytest.fixture
def embedded(sqlite: SqliteStore) -> Desk:
    """The service on SQLite only, for what FerretDB 1.24 does not have or does otherwise than MongoDB."""
    return Desk(Documents(sqlite))
