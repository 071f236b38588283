"""Templates of the operator's own in a MongoDB collection: FerretDB, which speaks MongoDB's protocol."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

sys.path.insert(0, str(Path(__file__).parents[3] / "cluster"))
from harness.build import BuildError, Tool

from app.gateway.templates import TemplateError, from_mongodb

OWN = {"name": "harbour", "title": "Harbour", "description": "Ships.", "type": "npx", "package": "@acme/harbour"}


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A running server."""
    try:
        program = Tool("ferretdb").binary("ferretdb")
    except BuildError:
        remedy = "there is no FerretDB: run `make test`, or python tests/tools.py, which builds it"
        if os.environ.get("CI") == "true":
            pytest.fail(remedy)
        pytest.skip(remedy)
    folder = tmp_path_factory.mktemp("ferretdb")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    with (folder / "log").open("wb") as log:
        command = [str(program), "-listen", f"127.0.0.1:{port}", "-state", str(folder)]
        process = subprocess.Popen(command, stdout=log, stderr=log)
    deadline = time.monotonic() + 30
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            break
        time.sleep(0.02)
    yield f"mongodb://127.0.0.1:{port}"
    process.kill()
    process.wait()


def keep(address: str, database: str, *documents: dict[str, Any]) -> str:
    with MongoClient(address) as client:
        client[database]["templates"].insert_many([dict(document) for document in documents])
    return f"{address}/{database}"


def test_templates_are_read_from_the_collection(address):
    uri = keep(address, "good", OWN, {**OWN, "name": "other"})
    assert [template.name for template in from_mongodb(uri, "templates")] == ["harbour", "other"]
    assert from_mongodb(uri, "empty") == []


def test_every_mistake_of_a_document_is_told_with_its_name(address):
    uri = keep(address, "bad", {**OWN, "package": "-g"}, {**OWN, "name": "two", "typo": 1})
    with pytest.raises(TemplateError) as caught:
        from_mongodb(uri, "templates")
    told = str(caught.value)
    assert "the collection templates: harbour: package '-g'" in told
    assert "two: " in told


def test_a_server_that_is_away_is_told_without_the_address_and_its_password():
    with pytest.raises(TemplateError) as caught:
        from_mongodb("mongodb://me:s3cret@127.0.0.1:9/x", "templates", seconds=0.2)
    assert "check MONGODB_URI and that the server runs" in str(caught.value)
    assert "s3cret" not in str(caught.value)
