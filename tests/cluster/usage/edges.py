"""Who reaches whom in each stack: every edge that it declares is open, every other pair of its pods is shut."""

from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from typing import Any

from infra import naming
from usage.outside import INTERNET, INTERNET_WITHOUT_TLS, OUTSIDE, PRIVATE, outside_world
from usage.reach import Walk

DNS, API = "dns", "kubernetes"
# No policy binds pods of other namespaces.
_ANYTHING = frozenset({DNS, API, *OUTSIDE})
# `default` is nobody's in particular.
FOREIGN = ("default", "ingress-nginx", "traefik", "monitoring")
_HTTPS = frozenset({DNS, INTERNET})
_WEB = frozenset({DNS, INTERNET, INTERNET_WITHOUT_TLS})
# Its address is not known in advance: whoever may call it may call any on its ports.
_API = frozenset({DNS, API, INTERNET, PRIVATE})


@dataclass(frozen=True)
class Visitor:
    """Takes the place of pods that come and go: of the stack's own namespace, if no other is named."""

    labels: Mapping[str, str]
    port: int | None = None
    space: str | None = None


@dataclass(frozen=True, kw_only=True)
class Edges:
    """Of one stack, by the names of its components. What is one pod alone reaches itself."""

    ports: Mapping[str, int]
    reach: Mapping[str, Set[str]]
    visitors: Mapping[str, Visitor] = field(default_factory=dict)
    # By namespace, what its pods reach in this one.
    foreign: Mapping[str, Set[str]] = field(default_factory=dict)


def _everywhere(*names: str) -> dict[str, Set[str]]:
    return {space: {*names} for space in FOREIGN}


# cert-manager lets one answer for a host's name.
_SOLVER = Visitor({"acme.cert-manager.io/http01-solver": "true"}, port=8089)
_REDIS = {"redis": {"redis", "redis-sentinel", DNS}, "redis-sentinel": {"redis", "redis-sentinel", DNS}}
_EXTERNAL = naming.selector("gateway-servers", "external-server")
# From the operator, in whatever namespace somebody declares them.
_OPERATED = {"app.kubernetes.io/component": "agent", "app.kubernetes.io/managed-by": "slipway-operator"}

EDGES: dict[str, Edges] = {
    "dev": Edges(
        ports={"web": 8000},
        # Its search tools read pages of the web, also those without TLS.
        reach={"web": {"web", *_WEB}},
        # A node port is for anybody.
        foreign=_everywhere("web"),
    ),
    "high-command": Edges(
        ports={"high-command": 8000},
        reach={"high-command": {*_HTTPS, *_API}},
        foreign={"monitoring": {"high-command"}},
    ),
    "websocket-server": Edges(
        ports={"mcp-server": 8080, "mongodb": 27017, "mongodb-admin": 8081},
        reach={
            "mcp-server": {"mongodb", *_WEB},
            "mongodb": {"mongodb", DNS},
            "mongodb-admin": {"mongodb-admin", "mongodb", DNS},
        },
        foreign=_everywhere("mcp-server"),
    ),
    "map-server": Edges(
        ports={"mcp-map-server": 8081, "redis": 6379, "redis-sentinel": 26379},
        reach={
            "mcp-map-server": {"redis", "redis-sentinel", *_HTTPS},
            **_REDIS,
            "acme-solver": {"acme-solver", DNS},
        },
        visitors={"acme-solver": _SOLVER},
        foreign={"ingress-nginx": {"mcp-map-server", "acme-solver"}, "monitoring": {"mcp-map-server"}},
    ),
    "prod": Edges(
        ports={"web": 8000, "redis": 6379, "redis-sentinel": 26379, "mongodb": 27017},
        reach={
            "web": {"redis", "redis-sentinel", "mongodb", *_WEB},
            **_REDIS,
            "mongodb": {"mongodb", DNS},
            "redis-backup": {"redis", DNS},
            "mongodb-backup": {"mongodb", DNS},
            "mongodb-initiate": {"mongodb", DNS},
            "acme-solver": {"acme-solver", DNS},
        },
        visitors={
            "redis-backup": Visitor(naming.selector("redis-backup", "backup")),
            "mongodb-backup": Visitor(naming.selector("mongodb-backup", "backup")),
            "mongodb-initiate": Visitor(naming.selector("mongodb-initiate", "initiate")),
            "acme-solver": _SOLVER,
        },
        foreign={"traefik": {"web", "acme-solver"}, "monitoring": {"web"}},
    ),
    "archon": Edges(
        ports={"gateway": 8051},
        reach={
            "gateway": {"gateway", "external", "external-online", *_HTTPS, *_API},
            "external": {"external", DNS},
            "external-online": {"external-online", *_HTTPS},
        },
        visitors={
            "external": Visitor(_EXTERNAL, port=8000),
            "external-online": Visitor({**_EXTERNAL, "slipway.dev/internet": "true"}, port=8051),
        },
        foreign={"monitoring": {"gateway"}},
    ),
    "mesh": Edges(
        ports={"registry": 8000, "redis": 6379, "hello-world": 8080, "operator": 8000},
        reach={
            "registry": {"redis", DNS},
            "redis": {"redis", DNS},
            "hello-world": {"hello-world", "registry", *_HTTPS},
            "operator": {"operator", "registry", *_API},
            "operated-agent": {"registry", "hello-world", *_ANYTHING},
            "leaving-agent": {"registry", DNS},
        },
        visitors={
            "operated-agent": Visitor(_OPERATED, space="default"),
            # Its own policy is gone already.
            "leaving-agent": Visitor(_OPERATED),
        },
        foreign={"monitoring": {"registry", "hello-world", "operator"}},
    ),
}


def walk_edges(walk: Walk, stack: str, config: Mapping[str, Any]) -> None:
    """Try every pair. What is outside is left out where no address of it answers."""
    edges, space = EDGES[stack], config["slipway:namespace"]["name"]
    walk.services()
    for name, port in edges.ports.items():
        walk.component(space, name, port, alone=name in edges.reach[name])
    for name, given in edges.visitors.items():
        walk.visitor(given.space or space, name, given.labels, given.port)
    walk.visitor(space, "neighbour")
    for other in FOREIGN:
        walk.visitor(other, f"from-{other}")
    unknown = _unknown(config)
    expected = {name: {name, DNS} & {*reached} if name in unknown else reached for name, reached in edges.reach.items()}
    expected["neighbour"] = {DNS}
    expected |= {f"from-{other}": {*edges.foreign.get(other, ()), *_ANYTHING} - unknown for other in FOREIGN}
    with outside_world() as targets:
        absent = set(OUTSIDE) - {target.name for target in targets}
        walk.targets += targets
        walk.check({source: {*reached} - absent for source, reached in expected.items()})


def _unknown(config: Mapping[str, Any]) -> set[str]:
    """Whom a stack that was fitted to a cluster has no policy for: they are its neighbours, no more."""
    found: set[str] = set()
    if config.get("slipway:tls", {}).get("mode") != "acme":
        found.add("acme-solver")
    if not config.get("slipway:mongodb", {}).get("replicaSet"):
        found.add("mongodb-initiate")
    return found
