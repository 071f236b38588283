"""MongoDB for documents: one member or a replica set, with authentication always on."""

from infra.components.mongodb._args import MongoAdmin, MongodbArgs, ReplicaSet
from infra.components.mongodb._component import Mongodb

__all__ = ["MongoAdmin", "Mongodb", "MongodbArgs", "ReplicaSet"]
