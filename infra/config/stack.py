"""StackConfig: everything that a stack file may say, read once and checked as a whole."""

from collections.abc import Mapping
from typing import Literal, Self

from pydantic import Field, PrivateAttr

from infra.config.base import Model
from infra.config.cluster import ImageConfig, NamespaceConfig
from infra.config.exposure import ExposureConfig, TlsConfig
from infra.config.gateway import GatewayConfig
from infra.config.mesh import MeshConfig, ServiceMeshConfig
from infra.config.network import NetworkConfig, ObservabilityConfig
from infra.config.secrets import Secrets
from infra.config.servers import ServerConfig
from infra.config.stores import MongodbConfig, RedisConfig
from infra.config.values import Label


class StackConfig(Model):
    """The configuration of one stack, from the `slipway:` keys of its file.

    `StackConfig.load()` reads the running Pulumi program's; `StackConfig.parse(values)` is the same without Pulumi.
    Both raise one `ConfigError` that lists every problem.
    """

    environment: Literal["dev", "prod"]
    """`prod` adds rules: images by digest, real host names, passwords. `dev` is lenient."""
    namespace: NamespaceConfig = NamespaceConfig()
    """The namespace that everything is put in, and what it enforces."""
    image: ImageConfig = ImageConfig()
    """The image that every role runs, and how it comes to be."""
    servers: dict[Label, ServerConfig] = Field(default_factory=dict[Label, ServerConfig])
    """The MCP servers, by name."""
    redis: RedisConfig = RedisConfig()
    """Sessions, events and shared state."""
    mongodb: MongodbConfig = MongodbConfig()
    """The document database."""
    exposure: ExposureConfig = ExposureConfig()
    """What stands in front of the servers."""
    tls: TlsConfig = TlsConfig()
    """Where the certificate comes from."""
    network: NetworkConfig = NetworkConfig()
    """Who may speak to whom."""
    gateway: GatewayConfig = GatewayConfig()
    """External MCP servers, served as one."""
    mesh: MeshConfig = MeshConfig()
    """Agents and their registry."""
    service_mesh: ServiceMeshConfig = ServiceMeshConfig()
    """Objects for Istio or Linkerd."""
    observability: ObservabilityConfig = ObservabilityConfig()
    """Metrics, alerts, dashboards, traces and logs."""
    protect: bool = False
    """Whether objects that hold data are protected from deletion and outlive the stack."""

    _secrets: Secrets = PrivateAttr(default_factory=Secrets)

    @property
    def secrets(self) -> Secrets:
        """The secret values of the stack, as Outputs. Never part of the model itself."""
        return self._secrets

    @classmethod
    def load(cls) -> Self:
        """The configuration of the running Pulumi program. The only reader of `pulumi.Config`."""
        from infra.config.load import from_pulumi

        return from_pulumi(cls)

    @classmethod
    def parse(cls, values: Mapping[str, object]) -> Self:
        """The configuration from the keys of a stack file, without their `slipway:`.

        A secret is a mapping with the one key `secure`, as in the file; its value reads as a placeholder Output.
        """
        from infra.config.load import from_values

        return from_values(cls, values)

    def attach(self, secrets: Secrets) -> Self:
        """The same configuration with the given secrets."""
        config = self.model_copy()
        config._secrets = secrets  # noqa: SLF001 - a copy of ourselves
        return config
