"""A registry that speaks npm and PyPI over real HTTP, is told what to serve, and can be slow, wrong, huge or gone.

Needs nothing but Python: a test on a cluster runs it in a pod.
"""

from __future__ import annotations

import base64
import contextlib
import gzip
import hashlib
import io
import json
import tarfile
import time
import zipfile
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = tuple[int, bytes, str]


def tarball(name: str, version: str, program: str = "console.log('hello')", **more: Any) -> bytes:
    """An npm package with one program."""
    manifest = {"name": name, "version": version, "bin": {name.rpartition("/")[2]: "run.js"}, **more}
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for path, text in {"package.json": json.dumps(manifest), "run.js": f"#!/usr/bin/env node\n{program}\n"}.items():
            entry = tarfile.TarInfo(f"package/{path}")
            entry.size = len(text.encode())
            entry.mode = 0o755
            tar.addfile(entry, io.BytesIO(text.encode()))
    return gzip.compress(out.getvalue(), mtime=0)


def metadata(name: str, version: str, requires: tuple[str, ...]) -> str:
    needs = "".join(f"Requires-Dist: {line}\n" for line in requires)
    return f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}"


def wheel(
    name: str,
    version: str,
    program: str = "print('hello')",
    requires: tuple[str, ...] = (),
    script: str | None = None,
) -> tuple[str, bytes]:
    """A PyPI package with one program; the file's name and its bytes."""
    module = name.replace("-", "_")
    info = f"{module}-{version}.dist-info"
    files = {
        f"{module}.py": f"def main():\n    {program}\n",
        f"{info}/METADATA": metadata(name, version, requires),
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": f"[console_scripts]\n{script or name} = {module}:main\n",
    }
    record = "".join(f"{path},,\n" for path in (*files, f"{info}/RECORD"))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for path, text in {**files, f"{info}/RECORD": record}.items():
            archive.writestr(zipfile.ZipInfo(path), text)
    return f"{module}-{version}-py3-none-any.whl", out.getvalue()


def integrity_of(body: bytes) -> str:
    return "sha512-" + base64.b64encode(hashlib.sha512(body).digest()).decode()


class Registry:
    """What it serves is in `npm` and `pypi`; `answers` says something else for a path, `token` is asked for if set."""

    def __init__(self) -> None:
        self.npm: dict[str, dict[str, Any]] = {}
        self.pypi: dict[str, list[dict[str, Any]]] = {}
        self.pypi_info: dict[str, dict[str, Any]] = {}
        self.files: dict[str, bytes] = {}
        self.answers: dict[str, Answer | Callable[[], Answer]] = {}
        self.asked: list[tuple[str, str | None]] = []
        self.token: str | None = None
        self.url = ""

    @property
    def index(self) -> str:
        return f"{self.url}simple"

    def add_npm(self, name: str, version: str, *, body: bytes | None = None, **more: Any) -> dict[str, Any]:
        """Publish a version; gives its manifest, which may still be changed."""
        dependencies = more.get("dependencies", {})
        body = tarball(name, version, dependencies=dependencies) if body is None else body
        path = f"{name}/-/{name.rpartition('/')[2]}-{version}.tgz"
        self.files[f"/{path}"] = body
        manifest = {
            "name": name,
            "version": version,
            "bin": {name.rpartition("/")[2]: "run.js"},
            "dist": {"integrity": integrity_of(body), "tarball": self.url + path},
            **more,
        }
        document = self.npm.setdefault(name, {"name": name, "versions": {}, "dist-tags": {}, "time": {}})
        document["versions"][version] = manifest
        document["dist-tags"]["latest"] = version
        document["time"][version] = f"2026-01-{len(document['versions']):02}T00:00:00.000Z"
        return manifest

    def add_pypi(
        self, name: str, version: str, *, requires: tuple[str, ...] = (), body: bytes | None = None, **more: Any
    ) -> dict[str, Any]:
        """Publish a version; gives its entry of the index, which may still be changed."""
        file, made = wheel(name, version, requires=requires)
        body = made if body is None else body
        self.files[f"/files/{file}"] = body
        self.files[f"/files/{file}.metadata"] = metadata(name, version, requires).encode()
        entry = {
            "filename": file,
            "url": f"{self.url}files/{file}",
            "hashes": {"sha256": hashlib.sha256(body).hexdigest()},
            "size": len(body),
            "core-metadata": True,
            **more,
        }
        self.pypi.setdefault(name, []).append(entry)
        info = {"name": name, "version": version, "requires_dist": list(requires), "summary": f"About {name}"}
        self.pypi_info[f"{name}/{version}"] = self.pypi_info[name] = {"info": {**info, "license": "MIT"}}
        return entry

    def answer(self, path: str) -> Answer:
        path = path.partition("?")[0].replace("%2f", "/").replace("%2F", "/").replace("%40", "@")
        if path in self.answers:
            said = self.answers[path]
            return said() if callable(said) else said
        if path in self.files:
            return 200, self.files[path], "application/octet-stream"
        parts = path.strip("/").split("/")
        if parts[0] == "simple" and parts[1] in self.pypi:
            page = {"meta": {"api-version": "1.0"}, "name": parts[1], "files": self.pypi[parts[1]]}
            return 200, json.dumps(page).encode(), "application/vnd.pypi.simple.v1+json"
        if parts[0] == "pypi" and "/".join(parts[1:-1]) in self.pypi_info:
            return 200, json.dumps(self.pypi_info["/".join(parts[1:-1])]).encode(), "application/json"
        if path.strip("/") in self.npm:
            return 200, json.dumps(self.npm[path.strip("/")]).encode(), "application/json"
        return 404, b"", "text/plain"


def server_of(served: Registry, host: str = "127.0.0.1", port: int = 0) -> ThreadingHTTPServer:
    """Listens from now on; what it serves, and who may ask, is changed in `served`."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            served.asked.append((self.path, self.headers.get("authorization")))
            if served.token and self.headers.get("authorization") != served.token:
                status, body, kind = 401, b"", "text/plain"
            else:
                status, body, kind = served.answer(self.path)
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body)))
            if status == 429:
                self.send_header("retry-after", "3600")
            self.end_headers()
            if b"DRIP" in body:
                for byte in body:  # a byte now and then: each step is quick, the whole never ends
                    self.wfile.write(bytes([byte]))
                    self.wfile.flush()
                    time.sleep(0.05)
            else:
                self.wfile.write(body)

        def handle(self) -> None:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                super().handle()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer((host, port), Handler)
    server.daemon_threads = True
    return server
