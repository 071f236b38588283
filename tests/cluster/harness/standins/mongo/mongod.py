#!/opt/slipway/bin/python
"""Stands in for mongod: FerretDB keeps the documents, this is the login before it.

Who may connect is made at the first start of the first pod from the environment, as `infra/mongodb-init` would: a root
user, the app's user with its own database, the backup's user who may read. One member is all it can be.
"""

import argparse
import asyncio
import base64
import datetime
import hashlib
import hmac
import json
import os
import secrets
import signal
import socket
import struct
import sys
from pathlib import Path

import bson

PORT, BEHIND = 27017, 27018
OP_REPLY, OP_QUERY, OP_MSG = 1, 2004, 2013
ITERATIONS = 4096
GREETINGS = {"hello", "ismaster"}
BEFORE_LOGIN = {*GREETINGS, "ping", "buildinfo", "saslstart", "saslcontinue", "endsessions", "logout", "getlasterror"}
READING = {
    "find",
    "getmore",
    "aggregate",
    "count",
    "distinct",
    "listcollections",
    "listdatabases",
    "listindexes",
    "dbstats",
}
CODES = {13: "Unauthorized", 18: "AuthenticationFailed"}


class Refused(Exception):
    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.answer = {"ok": 0.0, "errmsg": message, "code": code, "codeName": CODES[code]}


class Users:
    """Names, and what proves a password without being it."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "users.json"
        self.known = json.loads(self._file.read_text()) if self._file.exists() else {}

    def initialise(self) -> None:
        """On an empty volume: the three users."""
        if self.known:
            return
        wanted = (
            ("MONGO_INITDB_ROOT", "admin", "root"),
            ("APP", os.environ.get("APP_DATABASE", "slipway"), "app"),
            ("BACKUP", "admin", "backup"),
        )
        for prefix, database, role in wanted:
            name, password = os.environ.get(f"{prefix}_USERNAME"), os.environ.get(f"{prefix}_PASSWORD")
            if name and password:
                self.known[f"{database}.{name}"] = {"role": role, **_proof(password)}
        self._file.write_text(json.dumps(self.known))


def _proof(password: str) -> dict[str, str]:
    salt = secrets.token_bytes(28)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, ITERATIONS)
    client = hmac.digest(salted, b"Client Key", "sha256")
    return {
        "salt": base64.b64encode(salt).decode(),
        "stored": hashlib.sha256(client).hexdigest(),
        "server": hmac.digest(salted, b"Server Key", "sha256").hex(),
    }


class Login:
    """One SCRAM-SHA-256 conversation (RFC 5802), the server's side."""

    def __init__(self, users: Users, database: str, first: str) -> None:
        self._bare = first.split(",", 2)[2]
        fields = dict(part.split("=", 1) for part in self._bare.split(","))
        self.name = fields["n"].replace("=2C", ",").replace("=3D", "=")
        self.user = users.known.get(f"{database}.{self.name}")
        self._nonce = fields["r"] + base64.b64encode(secrets.token_bytes(18)).decode()
        salt = self.user["salt"] if self.user else base64.b64encode(secrets.token_bytes(28)).decode()
        self.challenge = f"r={self._nonce},s={salt},i={ITERATIONS}"

    def finish(self, final: str) -> str:
        without, _, proof = final.rpartition(",p=")
        nonce = dict(part.split("=", 1) for part in without.split(","))["r"]
        if self.user is None or not hmac.compare_digest(nonce, self._nonce):
            raise Refused(18, "Authentication failed.")
        message = f"{self._bare},{self.challenge},{without}".encode()
        signature = hmac.digest(bytes.fromhex(self.user["stored"]), message, "sha256")
        client = bytes(a ^ b for a, b in zip(base64.b64decode(proof), signature, strict=True))
        if not hmac.compare_digest(hashlib.sha256(client).hexdigest(), self.user["stored"]):
            raise Refused(18, "Authentication failed.")
        answer = hmac.digest(bytes.fromhex(self.user["server"]), message, "sha256")
        return f"v={base64.b64encode(answer).decode()}"


class Connection:
    """A client's connection, and the one to FerretDB that belongs to it."""

    def __init__(self, users: Users, set_name: str | None) -> None:
        self._users, self._set_name = users, set_name
        self._login: Login | None = None
        self._user: dict[str, str] | None = None
        self._database = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind_reader, behind = await asyncio.open_connection("127.0.0.1", BEHIND)
        try:
            while True:
                header, body = await _message(reader)
                answer = self._answer(header, body)
                if answer is None:
                    behind.write(header + body)
                    reply_header, reply = await _message(behind_reader)
                    answer = reply_header + reply
                writer.write(answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            behind.close()
            writer.close()

    def _answer(self, header: bytes, body: bytes) -> bytes | None:
        """What is answered here; None for what is FerretDB's to answer."""
        _, request, _, kind = struct.unpack("<iiii", header)
        command = _query(body) if kind == OP_QUERY else bson.decode(body[5 : 5 + struct.unpack_from("<i", body, 5)[0]])
        name = next(iter(command)).lower()
        try:
            document = self._own(name, command)
        except Refused as refused:
            document = refused.answer
        if document is None:
            return None
        content = bson.encode(document)
        if kind == OP_QUERY:
            return _framed(request, OP_REPLY, struct.pack("<iqii", 8, 0, 0, 1) + content)
        return _framed(request, OP_MSG, struct.pack("<iB", 0, 0) + content)

    def _own(self, name: str, command: dict) -> dict | None:
        database = command.get("$db", "")
        if name in GREETINGS:
            return self._hello(command)
        if name == "saslstart":
            if command["mechanism"] != "SCRAM-SHA-256":
                raise Refused(18, f"{command['mechanism']} is not supported")
            self._database = database
            self._login = Login(self._users, database, bytes(command["payload"]).decode())
            return {"conversationId": 1, "done": False, "payload": self._login.challenge.encode(), "ok": 1.0}
        if name == "saslcontinue":
            return self._continue(bytes(command["payload"]).decode())
        if self._user is None and name not in BEFORE_LOGIN:
            raise Refused(13, f"Command {name} requires authentication")
        if self._user is not None:
            self._check(name, database)
        return None

    def _continue(self, payload: str) -> dict:
        if self._login is None:
            raise Refused(18, "there is no conversation to go on with")
        if not payload:
            return {"conversationId": 1, "done": True, "payload": b"", "ok": 1.0}
        answer = self._login.finish(payload)
        self._user = self._login.user
        return {"conversationId": 1, "done": True, "payload": answer.encode(), "ok": 1.0}

    def _check(self, name: str, database: str) -> None:
        role = (self._user or {})["role"]
        if role == "app" and database != self._database and name not in BEFORE_LOGIN:
            raise Refused(13, f"not authorized on {database} to execute command {name}")
        if role == "backup" and name not in READING | BEFORE_LOGIN:
            raise Refused(13, f"not authorized on {database} to execute command {name}")

    def _hello(self, command: dict) -> dict:
        answer = {
            "helloOk": True,
            "ismaster": True,
            "isWritablePrimary": True,
            "maxBsonObjectSize": 16 * 1024 * 1024,
            "maxMessageSizeBytes": 48_000_000,
            "maxWriteBatchSize": 100_000,
            "localTime": datetime.datetime.now(datetime.UTC),
            "minWireVersion": 0,
            "maxWireVersion": 21,
            "readOnly": False,
            "ok": 1.0,
        }
        if "saslSupportedMechs" in command:
            answer["saslSupportedMechs"] = ["SCRAM-SHA-256"]
        if self._set_name:
            me = f"{socket.getfqdn()}:{PORT}"
            answer |= {"setName": self._set_name, "setVersion": 1, "hosts": [me], "primary": me, "me": me}
        return answer


async def _message(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    header = await reader.readexactly(16)
    return header, await reader.readexactly(struct.unpack_from("<i", header)[0] - 16)


def _framed(request: int, kind: int, body: bytes) -> bytes:
    return struct.pack("<iiii", 16 + len(body), 0, request, kind) + body


def _query(body: bytes) -> dict:
    start = body.index(b"\0", 4) + 9
    return bson.decode(body[start : start + struct.unpack_from("<i", body, start)[0]])


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--dbpath", default="/data/db")
    parser.add_argument("--replSet")
    options, _ = parser.parse_known_args()
    folder = Path(options.dbpath)
    users = Users(folder)
    users.initialise()
    documents = folder / "documents"
    documents.mkdir(exist_ok=True)
    command = ("ferretdb", "--listen", f"127.0.0.1:{BEHIND}", "--state", str(documents))
    ferretdb = await asyncio.create_subprocess_exec(*command)
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", BEHIND)
        except ConnectionError:
            await asyncio.sleep(0.05)
        else:
            writer.close()
            break

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> object:
        return Connection(users, options.replSet).serve(reader, writer)

    server = await asyncio.start_server(connected, "0.0.0.0", PORT)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ferretdb.terminate)
    code = await ferretdb.wait()
    server.close()
    sys.exit(code)


asyncio.run(main())
