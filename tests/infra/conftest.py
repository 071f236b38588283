"""A recording harness: run a piece of a Pulumi program under mocks, then ask what it registered."""

import asyncio
import base64
import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pulumi
import pytest
import yaml
from google.protobuf import empty_pb2, json_format
from pulumi.runtime import mocks

REPOSITORY = Path(__file__).parents[2]
# The seven configurations that the repository ships.
STACKS = {
    "dev": "Pulumi.dev.yaml",
    "prod": "Pulumi.prod.yaml",
    **{name: f"examples/{name}.yaml" for name in ("high-command", "websocket-server", "archon", "map-server", "mesh")},
}
# Marks a secret value on the wire between a program and the engine.
SIGNATURE = "4dabf18193072939515e22adb298388d"
SECRET_SIGNATURE = "1b47061264138c4ac30d75fd1eb44270"  # a constant of the wire format, not a credential


class Secret(str):
    """A string that was secret on the wire. Equal to its plain value, so assertions stay simple."""

    __slots__ = ()


def plain(value: Any, *, secret: bool = False) -> Any:
    """A wire value as plain JSON, with every string of a secret marked and whole floats as integers."""
    if isinstance(value, dict):
        if value.get(SIGNATURE) == SECRET_SIGNATURE:
            return plain(value["value"], secret=True)
        return {key: plain(item, secret=secret) for key, item in value.items() if key != SIGNATURE}
    if isinstance(value, list):
        return [plain(item, secret=secret) for item in value]
    if secret and isinstance(value, str):
        return Secret(value)
    return int(value) if isinstance(value, float) and value.is_integer() else value


@dataclass(frozen=True)
class Registered:
    """One resource as the engine would have seen it."""

    urn: str
    type: str
    name: str
    inputs: dict[str, Any]
    parent: str
    custom: bool
    protect: bool
    retain_on_delete: bool
    depends_on: tuple[str, ...]
    ignore_changes: tuple[str, ...]

    @property
    def kind(self) -> str:
        return self.type.rsplit(":", 1)[-1]

    def at(self, path: str) -> Any:
        """The input at a dotted path: `spec.template.spec.containers.0.image`. Raises KeyError with the path."""
        value: Any = self.inputs
        for part in path.split("."):
            try:
                value = value[int(part)] if isinstance(value, list) else value[part]
            except (KeyError, IndexError, TypeError, ValueError):
                raise KeyError(f"{self.name}: no {path} (stopped at {part})") from None
        return value

    def has(self, path: str) -> bool:
        try:
            self.at(path)
        except KeyError:
            return False
        return True

    @property
    def object_name(self) -> str:
        """The name in the cluster; generated ones as the mock generated them."""
        return self.inputs.get("metadata", {}).get("name", f"{self.name}-0a1b2c3d")


class Answers(mocks.Mocks):
    """What the providers would have answered."""

    def __init__(self, outputs: dict[str, dict[str, Any]]) -> None:
        self.outputs = outputs

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        state = dict(args.inputs)
        if args.typ.startswith("kubernetes:") and "helm.sh" not in args.typ:
            # The provider fills in a generated name when the program gives none.
            state["metadata"] = {"name": f"{args.name}-0a1b2c3d", **(state.get("metadata") or {})}
        if args.typ == "random:index/randomPassword:RandomPassword":
            state["result"] = f"generated-for-{args.name}"
        if args.typ == "random:index/randomBytes:RandomBytes":
            state["base64"] = base64.b64encode(args.name.encode().ljust(32, b"-")[:32]).decode()
        if args.typ.startswith("docker"):
            image = str(state.get("imageName") or state.get("name") or "image")
            repository = image.split("@", maxsplit=1)[0].rsplit(":", 1)[0]
            state |= {"repoDigest": f"{repository}@sha256:" + "ab" * 32, "baseImageName": image}
        state |= self.outputs.get(args.name, {})
        return f"{args.name}-id", state

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]] | None]:
        return self.outputs.get(args.token, {}), []


class RecordingMonitor(mocks.MockMonitor):
    """The engine's side of a mocked run, which keeps the requests it was sent."""

    def __init__(self, answers: Answers) -> None:
        super().__init__(answers)
        self.registered: list[Registered] = []
        self.finished: dict[str, dict[str, Any]] = {}

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802 - the engine's name
        response = super().RegisterResource(request)
        if request.type != "pulumi:pulumi:Stack":
            self.registered.append(
                Registered(
                    urn=response.urn,
                    type=request.type,
                    name=request.name,
                    inputs=plain(json_format.MessageToDict(request.object)),
                    parent=request.parent,
                    custom=request.custom,
                    protect=request.protect,
                    retain_on_delete=request.retainOnDelete,
                    depends_on=tuple(sorted(request.dependencies)),
                    ignore_changes=tuple(request.ignoreChanges),
                )
            )
        return response

    def RegisterResourceOutputs(self, request: Any) -> Any:  # noqa: N802 - the engine's name
        self.finished[request.urn] = plain(json_format.MessageToDict(request.outputs))
        return empty_pb2.Empty()


@dataclass
class Stack:
    """What a program registered, with small queries."""

    registered: list[Registered]
    finished: dict[str, dict[str, Any]] = field(default_factory=dict)
    result: Any = None
    exports: dict[str, Any] = field(default_factory=dict)

    def all(self, kind: str) -> list[Registered]:
        """Every resource of a kind, the last part of its type token: `Deployment`."""
        return [resource for resource in self.registered if resource.kind == kind]

    def one(self, kind: str, name: str | None = None) -> Registered:
        """The only resource of a kind, or the one with this Pulumi name."""
        found = [resource for resource in self.all(kind) if name is None or resource.name == name]
        known = [resource.name for resource in self.all(kind)]
        assert len(found) == 1, f"expected one {kind} {name or ''}, found {len(found)} among {known}"
        return found[0]

    def outputs(self, resource: Registered) -> dict[str, Any]:
        """What a component registered as its outputs."""
        return self.finished[resource.urn]


def run_program(
    program: Callable[[], Any],
    *,
    config: dict[str, str] | None = None,
    secrets: list[str] | None = None,
    stack: str = "test",
    outputs: dict[str, dict[str, Any]] | None = None,
) -> Stack:
    """Run `program` as a Pulumi program under mocks, to the end of every output, and return what it registered.

    `outputs` are answers of providers by resource name, or of functions by token.
    """
    monitor = RecordingMonitor(Answers(outputs or {}))
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    mocks.set_mocks(monitor.mocks, project="slipway", stack=stack, preview=False, monitor=monitor)
    pulumi.runtime.set_all_config(config or {}, secrets or [])
    result: list[Any] = []
    exports: dict[str, Any] = {}

    def body() -> pulumi.Output[None]:
        root = pulumi.runtime.get_root_resource()
        root.outputs.clear()
        result.append(program())
        return pulumi.Output.all(**root.outputs).apply(exports.update)

    try:
        pulumi.runtime.test(body)()
    finally:
        asyncio.set_event_loop(None)
        loop.close()
    return Stack(registered=monitor.registered, finished=monitor.finished, result=result[0], exports=exports)


@pytest.fixture
def run() -> Callable[..., Stack]:
    """`run(lambda: Redis("cache", RedisArgs(...)))` → a `Stack` to ask."""
    return run_program


@pytest.fixture(scope="session")
def repository() -> Path:
    return REPOSITORY


def stack_values(name: str) -> dict[str, Any]:
    """The platform's keys of one of the shipped stack files."""
    document = yaml.safe_load((REPOSITORY / STACKS[name]).read_text(encoding="utf-8"))
    prefix = "slipway:"
    return {key.removeprefix(prefix): value for key, value in document["config"].items() if key.startswith(prefix)}


def evaluate_values(values: dict[str, Any]) -> Stack:
    """Build the whole platform from configuration values. The image is given, as a registry would name it."""
    from infra.config import StackConfig
    from infra.platform import Platform, PlatformArgs

    def program() -> None:
        image = "slipway@sha256:" + "5a" * 32
        Platform("slipway", PlatformArgs.from_config(StackConfig.parse(values), image=image))

    return run_program(program)


@pytest.fixture(scope="session")
def evaluate() -> Callable[[str], Stack]:
    """`evaluate("prod")`: build a shipped stack anew."""
    return lambda name: evaluate_values(stack_values(name))


@pytest.fixture(scope="session")
def evaluated(evaluate: Callable[[str], Stack]) -> Callable[[str], Stack]:
    """`evaluated("prod")`: a shipped stack, built once for all tests that only look at it."""
    return functools.cache(evaluate)


def views_of(stack: Stack) -> list[Any]:
    """What a stack registered, as the rules of `infra.policy` see it."""
    from infra.policy.view import ResourceView

    def props(resource: Registered) -> dict[str, Any]:
        if not resource.custom:
            return stack.finished.get(resource.urn, {})
        metadata = {"name": resource.object_name, **resource.inputs.get("metadata", {})}
        return {**resource.inputs, "metadata": metadata}

    return [
        ResourceView(
            type=resource.type,
            name=resource.name,
            urn=resource.urn,
            props=props(resource),
            protected=resource.protect,
            retained=resource.retain_on_delete,
        )
        for resource in stack.registered
    ]


@pytest.fixture(scope="session")
def views() -> Callable[[Stack], list[Any]]:
    """`views(stack)`: the stack as the rules of `infra.policy` see it."""
    return views_of


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "stack_name" in metafunc.fixturenames:
        metafunc.parametrize("stack_name", list(STACKS))
