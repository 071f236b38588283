"""Where state lives: Redis and MongoDB."""

from typing import Annotated, Literal

from pydantic import Field

from infra.config.base import Model
from infra.config.common import AdminConfig, BackupConfig, ResourcesConfig, StorageConfig
from infra.config.values import Identifier, Image


class RedisConfig(Model):
    """Sessions, events and the map's state. The app receives one `REDIS_URL` and never knows the mode."""

    mode: Literal["none", "standalone", "sentinel"] = "none"
    """`none`: embedded in each pod; `standalone`: one pod; `sentinel`: a master, its replicas and as many sentinels."""
    workload: Literal["statefulset", "deployment"] = "statefulset"
    """What runs a standalone Redis."""
    replicas: Annotated[int, Field(ge=1, le=15)] = 3
    """Redis pods, and sentinels, in sentinel mode."""
    quorum: Annotated[int, Field(ge=1, le=15)] = 2
    """Sentinels that must agree that the master is gone."""
    image: Image | None = None
    """Image of Redis; the platform's default when absent."""
    proxy_image: Image | None = None
    """Image of the proxy that follows the master, with `clientAccess: service`; the platform's default when absent."""
    persistence: bool = True
    """Whether the data outlives the pod."""
    storage: StorageConfig = StorageConfig()
    """The volume of each pod, with `persistence`."""
    password: Literal["generated", "config", "none"] = "generated"  # noqa: S105 - a mode, not a password
    """`generated` once per stack, from the secret `redisPassword` (`config`), or none."""
    client_access: Literal["sentinel", "service"] = "sentinel"
    """How clients find the master in sentinel mode: by asking the sentinels, or by one Service that follows it."""
    backup: BackupConfig | None = None
    """Regular copies of the data; none when absent."""
    resources: ResourcesConfig = ResourcesConfig()
    """Requests and limits of each container."""


class ReplicaSetConfig(Model):
    """A MongoDB replica set."""

    members: Annotated[int, Field(ge=1, le=7)] = 3
    """Voting members; an odd number, so that a majority exists."""
    name: Identifier = "rs0"
    """Name of the set."""


class MongodbConfig(Model):
    """The document database of the `documents` toolset. Authentication is always on."""

    enabled: bool = False
    """Whether the stack runs a MongoDB; documents are embedded in each pod otherwise."""
    image: Image | None = None
    """Image of MongoDB; the platform's default when absent."""
    storage: StorageConfig = StorageConfig()
    """The volume of each member."""
    replica_set: ReplicaSetConfig | None = None
    """Run as a replica set; a single member when absent."""
    init_scripts: str | None = None
    """Directory in the project with `.js` and `.sh` files that run once on an empty database, after its users exist."""
    database: Identifier = "slipway"
    """Database that the app uses."""
    username: Identifier = "slipway"
    """User of that database; its password is the secret `mongodbPassword`, generated when not set."""
    admin: AdminConfig | None = None
    """A web page to look into the database; none when absent."""
    backup: BackupConfig | None = None
    """Regular copies of the data; none when absent."""
    resources: ResourcesConfig = ResourcesConfig()
    """Requests and limits of each container."""
