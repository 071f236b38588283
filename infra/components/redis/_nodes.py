"""The addresses of Redis pods and Sentinels, and the URL made of them."""

from dataclasses import dataclass
from urllib.parse import quote

from infra import naming
from infra.components.redis._args import MASTER_SET, RedisArgs
from infra.ports import REDIS, SENTINEL

URL_KEY = "REDIS_URL"
PASSWORD_KEY = "password"  # noqa: S105 - the name of a key


def headless(name: str) -> str:
    return naming.child(name, "headless")


def sentinel_set(name: str) -> str:
    """The name of the Sentinels' StatefulSet and of its headless Service."""
    return naming.child(name, "sentinel")


@dataclass(frozen=True, kw_only=True)
class Nodes:
    """All addresses as host:port. Without Sentinels there is one Redis, behind its Service."""

    redis: tuple[str, ...]
    sentinels: tuple[str, ...] = ()

    @classmethod
    def of(cls, name: str, args: RedisArgs, namespace: str) -> "Nodes":
        if args.mode == "standalone":
            return cls(redis=(f"{naming.service_host(name, namespace)}:{REDIS.number}",))
        ordinals = range(args.replicas)
        redis_domain = naming.service_host(headless(name), namespace)
        sentinel_domain = naming.service_host(sentinel_set(name), namespace)
        return cls(
            redis=tuple(f"{name}-{ordinal}.{redis_domain}:{REDIS.number}" for ordinal in ordinals),
            sentinels=tuple(
                f"{sentinel_set(name)}-{ordinal}.{sentinel_domain}:{SENTINEL.number}" for ordinal in ordinals
            ),
        )


def url(name: str, args: RedisArgs, namespace: str, password: str) -> str:
    """What an app connects to. Sentinels ask for the same password as Redis does."""
    login = f":{quote(password, safe='')}@" if password else ""
    if args.mode == "standalone" or args.client_access == "service":
        return f"redis://{login}{naming.service_host(name, namespace)}:{REDIS.number}/0"
    sentinels = ",".join(Nodes.of(name, args, namespace).sentinels)
    sentinel_login = f"?sentinel_password={quote(password, safe='')}" if password else ""
    return f"redis+sentinel://{login}{sentinels}/{MASTER_SET}/0{sentinel_login}"
