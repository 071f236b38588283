"""Ways into a cluster for who is outside: kubectl's own, past network policies that let nobody in."""

import re
import subprocess
from pathlib import Path


class Way:
    """To a Service, by way of one of its pods; a new one when that is gone."""

    def __init__(self, kubeconfig: Path, space: str, service: str) -> None:
        self._command = ["kubectl", f"--kubeconfig={kubeconfig}", "-n", space, "port-forward", f"service/{service}"]
        self._kubectl: subprocess.Popen[str] | None = None
        self._url = ""

    def url(self) -> str:
        """Where it begins on this machine. Raises ConnectionError while there is no pod to lead to."""
        if self._kubectl is None or self._kubectl.poll() is not None:
            self._open()
        return self._url

    def close(self) -> None:
        if self._kubectl is not None:
            self._kubectl.kill()
            self._kubectl.communicate()
            self._kubectl = None

    def _open(self) -> None:
        self.close()
        command = [*self._command, ":80"]
        self._kubectl = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert self._kubectl.stdout is not None
        said = self._kubectl.stdout.readline()
        found = re.match(r"Forwarding from (127\.0\.0\.1:\d+)", said)
        if found is None:
            self.close()
            raise ConnectionError(f"nothing leads to {self._command[-1]}: {said.strip()}")
        self._url = f"http://{found[1]}"
