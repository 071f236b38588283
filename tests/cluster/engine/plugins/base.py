"""What the stand-in plugins share: the parts of the provider protocol that are alike in all of them.

None of these is the official plugin of its name. They serve tests only, and say so when the engine starts them.
"""

import contextlib
from typing import Any, NoReturn

import grpc
from engine.plugins import wire
from google.protobuf import any_pb2, empty_pb2
from pulumi.runtime.proto import (
    engine_pb2,
    engine_pb2_grpc,
    plugin_pb2,
    provider_pb2,
    provider_pb2_grpc,
    status_pb2,
)

VERSIONS = {"kubernetes": "4.34.2", "docker": "5.2.0", "random": "4.21.4"}


class StandIn(provider_pb2_grpc.ResourceProviderServicer):
    """A provider plugin for tests. A subclass gives `name` and the methods that act."""

    name = ""

    def __init__(self, engine: str | None) -> None:
        self._engine = engine
        self.config: dict[str, Any] = {}

    def say(self, text: str, urn: str = "", severity: int = engine_pb2.INFO) -> None:
        """Put a line into the engine's output. A lost one fails nothing."""
        if self._engine is None:
            return
        with contextlib.suppress(grpc.RpcError), grpc.insecure_channel(self._engine) as channel:
            request = engine_pb2.LogRequest(severity=severity, message=text, urn=urn)
            engine_pb2_grpc.EngineStub(channel).Log(request, timeout=5)

    def Handshake(self, request: Any, context: Any) -> Any:  # noqa: N802 - the protocol's names, here and below
        self._engine = request.engine_address or self._engine
        return provider_pb2.ProviderHandshakeResponse(accept_secrets=True)

    def CheckConfig(self, request: Any, context: Any) -> Any:  # noqa: N802
        return provider_pb2.CheckResponse(inputs=request.news)

    def DiffConfig(self, request: Any, context: Any) -> Any:  # noqa: N802
        changed = request.olds != request.news
        diff = provider_pb2.DiffResponse
        return diff(changes=diff.DIFF_SOME if changed else diff.DIFF_NONE)

    def Configure(self, request: Any, context: Any) -> Any:  # noqa: N802
        self.config = wire.decode(request.args).plain
        return provider_pb2.ConfigureResponse(acceptSecrets=True, supportsPreview=True)

    def GetPluginInfo(self, request: Any, context: Any) -> Any:  # noqa: N802
        return plugin_pb2.PluginInfo(version=VERSIONS[self.name])

    def GetSchema(self, request: Any, context: Any) -> Any:  # noqa: N802
        return provider_pb2.GetSchemaResponse(schema="{}")

    def GetMapping(self, request: Any, context: Any) -> Any:  # noqa: N802
        return provider_pb2.GetMappingResponse()

    def Cancel(self, request: Any, context: Any) -> Any:  # noqa: N802
        return empty_pb2.Empty()

    def Attach(self, request: Any, context: Any) -> Any:  # noqa: N802
        return empty_pb2.Empty()


def failures(*reasons: tuple[str, str]) -> list[Any]:
    """Refusals of Check: the property, and what is the matter with it."""
    return [provider_pb2.CheckFailure(property=name, reason=reason) for name, reason in reasons]


def difference(old: dict[str, Any], new: dict[str, Any], replacing: set[str]) -> Any:
    """A diff by top-level properties, for the kinds that have no depth."""
    kinds = provider_pb2.PropertyDiff
    detailed: dict[str, Any] = {}
    for key in sorted({*old, *new}):
        if old.get(key) != new.get(key):
            kind = kinds.UPDATE_REPLACE if key in replacing else kinds.UPDATE
            detailed[key] = kinds(kind=kind, inputDiff=True)
    diff = provider_pb2.DiffResponse
    return diff(
        changes=diff.DIFF_SOME if detailed else diff.DIFF_NONE,
        replaces=[key for key in detailed if key in replacing],
        diffs=list(detailed),
        detailedDiff=detailed,
        hasDetailedDiff=True,
    )


def abort_half_made(context: Any, *, identity: str, state: Any, inputs: Any, reasons: list[str]) -> NoReturn:
    """Fail, but have the engine record the object: it is there, it only did not become what it should be."""
    detail = any_pb2.Any()
    failed = provider_pb2.ErrorResourceInitFailed(id=identity, properties=state, inputs=inputs, reasons=reasons)
    detail.Pack(failed, type_url_prefix="type.googleapis.com/")
    message = reasons[0] if reasons else "the object was made, but did not become ready"
    status = status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=message, details=[detail])
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    context.abort(grpc.StatusCode.UNKNOWN, message)
    raise AssertionError("abort raises")
