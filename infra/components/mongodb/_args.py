"""What a MongoDB is made of."""

from dataclasses import dataclass, field
from pathlib import Path

import pulumi

from infra import images
from infra.pods import Resources
from infra.storage import Backup, Storage


@dataclass(frozen=True, kw_only=True)
class ReplicaSet:
    """Members that hold the same data and elect a primary."""

    members: int = 3
    name: str = "rs0"


@dataclass(frozen=True, kw_only=True)
class MongoAdmin:
    """mongo-express: a page to look into the database. Who may reach it is for the exposure and the network to say."""

    image: pulumi.Input[str] = images.MONGO_EXPRESS
    username: str = "admin"
    # Generated when not given.
    password: pulumi.Input[str] | None = None


@dataclass(frozen=True, kw_only=True)
class MongodbArgs:
    namespace: pulumi.Input[str]
    image: pulumi.Input[str] = images.MONGODB
    storage: Storage = field(default_factory=Storage)
    replica_set: ReplicaSet | None = None
    # `.js` and `.sh` files that run once, in the order of their names, when the volume is empty. The users come first.
    init_scripts: Path | None = None
    database: str = "slipway"
    username: str = "slipway"
    # Generated when not given, as the root user's always is.
    password: pulumi.Input[str] | None = None
    admin: MongoAdmin | None = None
    backup: Backup | None = None
    resources: Resources = field(default_factory=Resources)
    # Whether the objects that hold data are kept from deletion.
    protect: bool = False
