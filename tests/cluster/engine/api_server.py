"""Kubernetes without nodes: etcd, the API server and the controllers on ports of this machine, for objects alone.

Admission, defaults, validation, garbage collection and the controllers are real; no pod ever runs. It needs no root,
and every test process may have one of its own. `with ApiServer(folder) as server: … server.kubeconfig`.
"""

import os
import shutil
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from harness.build import Tool
from harness.certificates import Authority
from harness.process import SPARING

READY_SECONDS = 90


class NotServing(Exception):
    """It did not come up; the message has the end of its log."""


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on at this moment."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [found.getsockname()[1] for found in sockets]
    for found in sockets:
        found.close()
    return ports


class ApiServer:
    """A control plane, for the life of a `with`."""

    def __init__(self, folder: Path, *, controllers: Sequence[str] = ()) -> None:
        """`controllers` are more arguments of the controllers'."""
        self.folder = folder
        self._controllers = tuple(controllers)
        self.kubeconfig = folder / "kubeconfig"
        self._children: list[tuple[str, subprocess.Popen[bytes]]] = []

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            self._start()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def _start(self) -> None:
        client, peer, port, controllers = free_ports(4)
        kubernetes = Tool("kubernetes")
        authority = Authority(self.folder)
        key = authority.service_account_key()
        etcd, between = f"http://127.0.0.1:{client}", f"http://127.0.0.1:{peer}"
        self._spawn(
            "etcd",
            [
                Tool("etcd").binary("etcd"),
                f"--data-dir={self.folder / 'etcd'}",
                f"--listen-client-urls={etcd}",
                f"--advertise-client-urls={etcd}",
                f"--listen-peer-urls={between}",
                f"--initial-advertise-peer-urls={between}",
                f"--initial-cluster=default={between}",
                "--unsafe-no-fsync",
            ],
        )
        hosts = ("localhost", "127.0.0.1", "kubernetes.default.svc", "10.96.0.1")
        certificate, certificate_key = authority.issue("api", "kube-apiserver", hosts=hosts)
        self._spawn(
            "kube-apiserver",
            [
                kubernetes.binary("kube-apiserver"),
                f"--etcd-servers={etcd}",
                "--bind-address=127.0.0.1",
                "--advertise-address=127.0.0.1",
                # Endpoints of the `kubernetes` Service cannot be loopback addresses; nothing here calls it.
                "--endpoint-reconciler-type=none",
                f"--secure-port={port}",
                f"--client-ca-file={authority.certificate}",
                f"--tls-cert-file={certificate}",
                f"--tls-private-key-file={certificate_key}",
                f"--service-account-key-file={key}",
                f"--service-account-signing-key-file={key}",
                "--service-account-issuer=https://kubernetes.default.svc",
                "--service-cluster-ip-range=10.96.0.0/16",
                "--authorization-mode=RBAC",
                "--allow-privileged=true",
            ],
        )
        url = f"https://127.0.0.1:{port}"
        authority.kubeconfig(self.kubeconfig, url, "administrator", ("system:masters",))
        self._wait(f"{url}/readyz", ssl.create_default_context(cafile=str(authority.certificate)))
        manager = authority.kubeconfig(
            self.folder / "controllers.kubeconfig", url, "system:kube-controller-manager", ("system:masters",)
        )
        self._spawn(
            "kube-controller-manager",
            [
                kubernetes.binary("kube-controller-manager"),
                f"--kubeconfig={manager}",
                "--leader-elect=false",
                "--bind-address=127.0.0.1",
                f"--secure-port={controllers}",
                f"--service-account-private-key-file={key}",
                f"--root-ca-file={authority.certificate}",
                # Without it they make a folder of the machine's.
                f"--flex-volume-plugin-dir={self.folder / 'volume-plugins'}",
                *self._controllers,
            ],
        )

    def _spawn(self, name: str, command: Sequence[str | Path]) -> None:
        if shutil.which("setpriv"):
            # Tests that are killed say no goodbye.
            command = ["setpriv", "--pdeathsig", "KILL", "--", *command]
        with (self.folder / f"{name}.log").open("ab") as log:
            child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **SPARING},
                start_new_session=True,
            )
        self._children.append((name, child))

    def _wait(self, url: str, context: ssl.SSLContext) -> None:
        end = time.monotonic() + READY_SECONDS
        while True:
            for name, child in self._children:
                if child.poll() is not None:
                    log = (self.folder / f"{name}.log").read_text(encoding="utf-8", errors="replace")
                    raise NotServing(f"{name} ended with {child.returncode}:\n{log[-2000:]}")
            try:
                with urllib.request.urlopen(url, timeout=2, context=context):
                    return
            except (urllib.error.URLError, OSError) as problem:
                if time.monotonic() > end:
                    raise NotServing(f"{url} did not answer within {READY_SECONDS} s: {problem}") from None
            time.sleep(0.1)

    def _stop(self) -> None:
        for _, child in reversed(self._children):
            child.terminate()
        for _, child in reversed(self._children):
            try:
                child.wait(10)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait(10)
        self._children.clear()
