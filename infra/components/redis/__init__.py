"""Redis for sessions, events and map state, in one of two modes behind one URL."""

from infra.components.redis._args import ClientAccess, Mode, RedisArgs, Workload
from infra.components.redis._component import Redis

__all__ = ["ClientAccess", "Mode", "Redis", "RedisArgs", "Workload"]
