"""What to know before `pulumi up`: the tools, the stack file and the cluster, each with its remedy. Changes nothing."""

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import yaml
from rich.console import Console
from rich.markup import escape

from infra.config import ConfigError, StackConfig

PROJECT = Path(__file__).parents[1]
PREFIX = "slipway:"
KUBECTL_TIMEOUT_SECONDS = 15


class PreflightError(Exception):
    """A stack file that cannot be read at all."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing looked at. `remedy` says what to do where it is not fine; a `fatal` one stops `pulumi up`."""

    subject: str
    fine: bool
    detail: str
    remedy: str = ""
    fatal: bool = True


Run = Callable[[Sequence[str]], "subprocess.CompletedProcess[str]"]


def run_command(command: Sequence[str]) -> "subprocess.CompletedProcess[str]":
    """Run a tool and keep what it says. One that is absent or hangs counts as failed, with the reason as its stderr."""
    try:
        return subprocess.run(  # noqa: S603 - fixed commands, no shell
            command, capture_output=True, text=True, timeout=KUBECTL_TIMEOUT_SECONDS, check=False
        )
    except FileNotFoundError:
        return subprocess.CompletedProcess(command, 127, "", f"{command[0]} is not installed")
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 124, "", f"no answer within {KUBECTL_TIMEOUT_SECONDS} s")


def read_stack_file(path: Path) -> dict[str, Any]:
    """The platform's keys of a stack file, without their prefix."""
    try:
        document: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        stacks = ", ".join(sorted(file.name.split(".")[1] for file in PROJECT.glob("Pulumi.*.yaml")))
        raise PreflightError(f"{path.name} does not exist; the stacks here are {stacks}") from None
    except yaml.YAMLError as error:
        raise PreflightError(f"{path.name} is not YAML: {error}") from None
    config = cast("dict[str, Any]", document).get("config") if isinstance(document, dict) else None
    if not isinstance(config, dict):
        raise PreflightError(f"{path.name} has no `config:` with `slipway:` keys")
    keys = cast("dict[str, Any]", config)
    return {key.removeprefix(PREFIX): value for key, value in keys.items() if key.startswith(PREFIX)}


def tools(config: StackConfig | None, purpose: str) -> Iterator[Finding]:
    """The programs that a preview or an update calls."""
    yield _tool("pulumi", "see the Pulumi documentation, *Download and install*; 3.200 or later", fatal=True)
    if purpose == "up":
        yield _tool("kubectl", "see the Kubernetes documentation, *Install tools*", fatal=False)
    if config is not None and config.image.strategy == "build":
        yield _tool("docker", "install a Docker engine, or set image.strategy to published", fatal=True)


def _tool(name: str, remedy: str, *, fatal: bool) -> Finding:
    where = shutil.which(name)
    return Finding(
        subject=name,
        fine=where is not None,
        detail=where or "not on PATH",
        remedy=f"install {name}: {remedy}",
        fatal=fatal,
    )


def cluster(config: StackConfig, run: Run) -> Iterator[Finding]:
    """What the stack expects of the cluster that kubectl points to."""
    reached = run(["kubectl", "version", "-o", "json"])
    if reached.returncode:
        yield Finding(
            subject="cluster",
            fine=False,
            detail=(reached.stderr.strip().splitlines() or ["no answer"])[-1],
            remedy="point KUBECONFIG, or the stack's kubernetes:context, to a cluster that answers",
        )
        return
    yield Finding(subject="cluster", fine=True, detail=_server_version(reached.stdout))
    for subject, resource, needed, remedy in _expectations(config):
        if needed:
            found = run(["kubectl", "get", *resource, "-o", "name"])
            fine = found.returncode == 0 and bool(found.stdout.strip())
            yield Finding(
                subject=subject,
                fine=fine,
                detail="found" if fine else "not found",
                remedy=remedy,
                fatal=subject != "metrics",
            )


def _server_version(text: str) -> str:
    try:
        return str(json.loads(text)["serverVersion"]["gitVersion"])
    except (ValueError, KeyError, TypeError):
        return "reached"


def _expectations(config: StackConfig) -> Iterator[tuple[str, list[str], bool, str]]:
    tls, exposure = config.tls, config.exposure
    yield (
        "cert-manager",
        ["crd", "certificates.cert-manager.io"],
        tls.mode in ("acme", "ca", "selfSigned") and tls.install_cert_manager is None,
        "install cert-manager, or set tls.installCertManager.version",
    )
    yield (
        "gateway api",
        ["crd", "httproutes.gateway.networking.k8s.io"],
        exposure.profile == "gatewayApi",
        "install the Gateway API's standard channel and a controller for it",
    )
    uses_ingress = exposure.profile not in ("none", "nodePort", "gatewayApi")
    class_name = exposure.class_name or exposure.profile
    yield (
        "ingress class",
        ["ingressclass", class_name],
        uses_ingress,
        f"install an ingress controller with the class {class_name}, or set exposure.className",
    )
    yield (
        "metrics",
        ["apiservice", "v1beta1.metrics.k8s.io"],
        any(server.autoscaling is not None for server in config.servers.values()),
        "install metrics-server: without it the autoscaler keeps the least number of pods",
    )
    yield (
        "service monitors",
        ["crd", "servicemonitors.monitoring.coreos.com"],
        config.observability.service_monitor or config.observability.rules,
        "install the Prometheus operator, or turn observability.serviceMonitor and observability.rules off",
    )
    kinds = {"istio": "virtualservices.networking.istio.io", "linkerd": "serviceprofiles.linkerd.io"}
    kind = config.service_mesh.kind
    yield (
        "service mesh",
        ["crd", kinds.get(kind, "")],
        kind in kinds,
        f"install {kind}, or set serviceMesh.kind to none",
    )


def examine(stack: str, purpose: str, run: Run = run_command) -> list[Finding]:
    """Everything there is to say about a stack, in the order a person would mend it."""
    config: StackConfig | None = None
    name = f"Pulumi.{stack}.yaml"
    try:
        config = StackConfig.parse(read_stack_file(PROJECT / name))
    except (PreflightError, ConfigError) as error:
        stack_file = Finding(subject=name, fine=False, detail=str(error), remedy="docs/configuration.md has every key")
    else:
        stack_file = Finding(subject=name, fine=True, detail="every key is known and fits")
    findings = [stack_file, *tools(config, purpose)]
    if purpose == "up" and config is not None and shutil.which("kubectl"):
        findings.extend(cluster(config, run))
    return findings


def report(findings: Sequence[Finding], console: Console) -> bool:
    """Print the findings; whether nothing fatal is among them."""
    for finding in findings:
        mark = "[green]✓[/]" if finding.fine else "[red]✗[/]" if finding.fatal else "[yellow]![/]"
        lines = [f"{mark} [bold]{escape(finding.subject)}[/]: {escape(finding.detail)}"]
        if not finding.fine:
            lines.append(f"  → {escape(finding.remedy)}")
        console.print(*lines, sep="\n", highlight=False, soft_wrap=True)
    return all(finding.fine or not finding.fatal for finding in findings)


def main() -> int:
    parser = argparse.ArgumentParser(prog="preflight", description=__doc__)
    parser.add_argument("--stack", required=True)
    parser.add_argument("--for", dest="purpose", choices=("preview", "up"), default="up")
    arguments = parser.parse_args()
    return 0 if report(examine(arguments.stack, arguments.purpose), Console(stderr=True)) else 1


if __name__ == "__main__":
    sys.exit(main())
