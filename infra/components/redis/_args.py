"""What a Redis is made of."""

from dataclasses import dataclass, field
from typing import Literal

import pulumi

from infra import images
from infra.pods import Resources
from infra.storage import Backup, Storage

Mode = Literal["standalone", "sentinel"]
Workload = Literal["statefulset", "deployment"]
ClientAccess = Literal["sentinel", "service"]

MASTER_SET = "slipway"
"""The name under which the Sentinels know the master."""


@dataclass(frozen=True, kw_only=True)
class RedisArgs:
    """A stack that wants no Redis just makes none."""

    namespace: pulumi.Input[str]
    mode: Mode = "standalone"
    image: pulumi.Input[str] = images.REDIS
    # What runs a standalone Redis; Sentinel mode is always a StatefulSet.
    workload: Workload = "statefulset"
    # Redis pods and Sentinels, in Sentinel mode, and how many Sentinels must agree that the master is gone.
    replicas: int = 3
    quorum: int = 2
    persistence: bool = True
    storage: Storage = field(default_factory=Storage)
    # Whether clients must log in; the password is generated when none is given.
    authentication: bool = True
    password: pulumi.Input[str] | None = None
    # In Sentinel mode: clients ask the Sentinels, or connect to a Service behind which a proxy follows the master.
    client_access: ClientAccess = "sentinel"
    proxy_image: pulumi.Input[str] = images.HAPROXY
    backup: Backup | None = None
    resources: Resources = field(default_factory=Resources)
    # Whether the objects that hold data are kept from deletion.
    protect: bool = False

    def __post_init__(self) -> None:
        if self.mode == "sentinel" and self.replicas < 2:
            raise ValueError(
                f"replicas={self.replicas}: Sentinel mode needs 2 or more, or there is nothing to fail over to"
            )
        if self.mode == "sentinel" and not 1 <= self.quorum <= self.replicas:
            raise ValueError(f"quorum={self.quorum}: give 1 to {self.replicas}, the number of Sentinels")
        if not self.authentication and self.password is not None:
            raise ValueError("password is given but authentication is off: leave one of them out")
