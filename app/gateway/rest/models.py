"""What the REST API takes and gives, as its documentation shows it."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel
from pydantic.config import JsonDict

from app.gateway.manager.model import Phase, ServerStatus, Source
from app.gateway.spec import SecretRef, ServerSpec, ServerType, Transport

_CAMEL = ConfigDict(alias_generator=to_camel, validate_by_alias=True, serialize_by_alias=True)
_GIVEN = ConfigDict(alias_generator=to_camel, validate_by_alias=True, extra="forbid", strict=True)
_EXAMPLE: JsonDict = {"examples": [{"name": "time", "template": "time"}]}


class SecretKey(BaseModel):
    """A key of a Kubernetes Secret. Gateways outside a cluster have none."""

    model_config = _GIVEN

    secret: str = Field(min_length=1, max_length=253)
    key: str = Field(min_length=1, max_length=253)


class StartRequest(BaseModel):
    """A server to run. What is left out, its template decides."""

    model_config = ConfigDict(
        alias_generator=to_camel, validate_by_alias=True, extra="forbid", strict=True, json_schema_extra=_EXAMPLE
    )

    name: str | None = Field(None, description="What it is called; without one, after its template or package")
    template: str | None = Field(None, description="One of /templates", examples=["filesystem"])
    type: ServerType | None = Field(None, description="npx: npm; uv: PyPI; image: a container; remote: a URL")
    package: str | None = Field(None, examples=["@modelcontextprotocol/server-everything"])
    version: str | None = Field(None, description="An exact version; without one, the latest that is allowed")
    image: str | None = None
    url: str | None = Field(None, description="Where a remote server is")
    transport: Transport | None = None
    port: int | None = Field(None, description="Where it listens, for transports other than stdio")
    allowed_paths: list[str] = Field([], description="Folders that it may touch, where its template takes them")
    args: list[str] = Field([], description="More arguments; none of them ever passes through a shell")
    environment: dict[str, str] = Field({}, description="Variables; of a remote server, HTTP headers. Never shown back")
    secret_environment: dict[str, SecretKey] = Field({}, description="Variables with values from Kubernetes Secrets")
    ttl_seconds: float | None = Field(None, description="Stopped after so long; without it, it stays")
    replace: bool = Field(False, description="Take the place of a server of that name that differs")

    def spec(self) -> ServerSpec:
        return ServerSpec(
            template=self.template,
            type=self.type,
            transport=self.transport,
            package=self.package,
            version=self.version,
            image=self.image,
            url=self.url,
            port=self.port,
            allowed_paths=tuple(self.allowed_paths),
            args=tuple(self.args),
            environment=self.environment,
            secret_environment={
                name: SecretRef(secret=given.secret, key=given.key) for name, given in self.secret_environment.items()
            },
        )


class Served(BaseModel):
    """What a server says of itself."""

    model_config = _CAMEL

    name: str
    version: str
    revision: str = Field(description="The protocol revision that is spoken with it", examples=["2025-11-25"])


class ServerView(BaseModel):
    """One server as it is now. It shows no value of its environment."""

    model_config = _CAMEL

    id: str = Field(description="A DNS label; its tools are named <id>_<tool>", examples=["time"])
    name: str
    phase: Phase
    reason: str = Field(description="Why it is not simply ready")
    tools: int
    prompts: int
    resources: int
    stale: bool = Field(description="Its lists are those of when it was last reached")
    problems: list[str]
    spec: dict[str, Any] = Field(description="What was asked for, without what can be secret")
    package: str | None = Field(description="The pinned package", examples=["mcp-server-time@2025.9.25"])
    source: Source
    by: str = Field(description="Who started it")
    created: float
    expires: float | None = Field(description="When it is stopped, in seconds since 1970")
    seconds_to_ready: float | None
    restarts: int
    owner: str | None = Field(description="The replica that runs it, where that is another one")
    server: Served | None
    revision: int = Field(description="Another one after every change; `?after=` waits for that")

    @staticmethod
    def of(status: ServerStatus) -> ServerView:
        return ServerView.model_validate(msgspec.to_builtins(status))


class HealthView(BaseModel):
    """Whether a server answers now."""

    model_config = _CAMEL

    id: str
    phase: Phase
    healthy: bool
    seconds: float | None = Field(description="How long a harmless request took")
    reason: str


class LogView(BaseModel):
    """What a server wrote to its log last."""

    id: str
    lines: list[str]


class FieldProblem(BaseModel):
    """One thing that is wrong with a request."""

    field: str
    value: str
    remedy: str


class ProblemView(BaseModel):
    """An error, after RFC 9457."""

    type: Literal["about:blank"] = "about:blank"
    title: str
    status: int
    detail: str
    problems: list[FieldProblem] = []


class TemplateSummary(BaseModel):
    """A known server, shortly."""

    name: str
    title: str
    description: str
    type: ServerType
    package: str | None
    categories: list[str]
    required: list[str] = Field(description="Settings that have to be given")
    deprecated: bool
