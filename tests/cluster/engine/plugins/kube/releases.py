"""Helm releases: the stand-in fetches no chart, but takes what the test cluster already has in the release's place."""

from typing import Any

import grpc
from engine.plugins import wire
from engine.plugins.kube.client import UnknownKind
from engine.plugins.wire import Properties
from pulumi.runtime.proto import provider_pb2

TOKEN = "kubernetes:helm.sh/v3:Release"
# What is in a cluster that has the chart's programs: the kind that they serve.
PRESENT = {"cert-manager": ("cert-manager.io/v1", "Certificate")}


def is_release(token: str) -> bool:
    return token == TOKEN


def create(provider: Any, request: Any, context: Any, inputs: Properties) -> Any:
    """Accept a release whose programs are there; refuse every other."""
    chart = str(inputs.plain.get("chart"))
    name = str(inputs.plain.get("name") or request.urn.split("::", 3)[3])
    namespace = str(inputs.plain.get("namespace") or "default")
    api_version, kind = PRESENT.get(chart, ("", chart))
    try:
        provider.cluster.place(api_version, kind)
    except UnknownKind:
        if not request.preview:
            why = f"{chart} is not in the test cluster, and its stand-in fetches no chart"
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, why)
    status = {"name": name, "namespace": namespace, "status": "deployed", "chart": chart}
    outputs = {**inputs.plain, "name": name, "namespace": namespace, "status": status}
    if request.preview:
        return provider_pb2.CreateResponse(properties=wire.encode(inputs.plain, inputs.secrets))
    provider.say(f"{name} is not installed from its chart: the test cluster's own {chart} takes its place", request.urn)
    return provider_pb2.CreateResponse(id=f"{namespace}/{name}", properties=wire.encode(outputs, inputs.secrets))
