"""What the gateway, and commands that talk to one, read from the environment; a part of `app.settings`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field
from pydantic_settings import BaseSettings

from app._settings_types import HttpUrl, OptionalPath, OptionalSecret, OptionalText, Seconds, env


def _lower(value: object) -> object:
    return value.strip().lower() if isinstance(value, str) else value


Launcher = Annotated[Literal["auto", "process", "pods"], BeforeValidator(_lower)]


class GatewaySettings(BaseSettings):
    """External servers: where their list is kept, how long they may take, and where a gateway is."""

    gateway_url: HttpUrl = Field(
        "http://127.0.0.1:8051",
        validation_alias=env("MCP_GATEWAY_URL"),
        description="the address of the gateway that `slipway servers` talks to, http:// or https://",
    )
    gateway_token: OptionalSecret = Field(
        None,
        validation_alias=env("MCP_GATEWAY_TOKEN"),
        description="the bearer token that the gateway asks `slipway servers` for",
    )
    gateway_state: OptionalPath = Field(
        None,
        validation_alias=env("MCP_GATEWAY_STATE"),
        description="a file that is made if need be, in which started servers outlive a restart of their gateway",
    )
    gateway_self: OptionalText = Field(
        None,
        pattern=r"^https?://[^/\s]+$",
        validation_alias=env("MCP_GATEWAY_SELF"),
        description="where other replicas reach this one, like http://10.0.0.7:8051; without it, POD_IP says",
    )
    gateway_start_seconds: Seconds = Field(
        180.0,
        validation_alias=env("MCP_GATEWAY_START_SECONDS"),
        description="seconds that a server has to come up, the installation of its package included",
    )
    gateway_starts_at_once: int = Field(
        32,
        ge=1,
        le=1_000,
        validation_alias=env("MCP_GATEWAY_STARTS_AT_ONCE"),
        description="servers that come up at the same time, 1 to 1000",
    )
    gateway_max_servers: int = Field(
        500,
        ge=1,
        le=10_000,
        validation_alias=env("MCP_GATEWAY_MAX_SERVERS"),
        description="external servers of a gateway, 1 to 10000",
    )
    gateway_allow_local_urls: bool = Field(
        False,
        validation_alias=env("MCP_GATEWAY_ALLOW_LOCAL_URLS"),
        description="true or false: whether remote servers may be on the gateway's own machine",
    )
    gateway_launcher: Launcher = Field(
        "auto",
        validation_alias=env("MCP_LAUNCHER"),
        description="one of auto (pods where this is a pod with an account), process, pods",
    )
    gateway_bridge_image: OptionalText = Field(
        None,
        validation_alias=env("MCP_BRIDGE_IMAGE"),
        description="the image that packages run in as pods, with Node and uv; without it, ARCHON_MCP_IMAGE",
    )
    pod_pull_secret: OptionalText = Field(
        None,
        validation_alias=env("MCP_POD_PULL_SECRET"),
        description="the Secret by which the images of servers in pods are pulled",
    )
    pod_environment_secret: OptionalText = Field(
        None,
        validation_alias=env("MCP_POD_ENVIRONMENT_SECRET"),
        description="a Secret whose keys are variables of every package in a pod, as tokens of registries",
    )
