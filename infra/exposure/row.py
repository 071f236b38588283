"""The vocabulary of the table: how a profile answers each thing that a stack may ask."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["ingress", "httpRoute", "nodePort", "none"]


@dataclass(frozen=True, kw_only=True)
class Sets:
    """Done by annotations, with `{placeholders}` of `Wishes.values`, or by an object of the controller's own."""

    ingress: Mapping[str, str] = field(default_factory=dict[str, str])
    service: Mapping[str, str] = field(default_factory=dict[str, str])
    by: str = ""


@dataclass(frozen=True)
class Already:
    """So by itself: nothing to set."""

    why: str


@dataclass(frozen=True)
class Outside:
    """Done once, outside the stack, by whoever owns the controller."""

    what: str


@dataclass(frozen=True)
class Cannot:
    """The profile cannot do it. `use` is the remedy."""

    because: str
    use: str


Cell = Sets | Already | Outside | Cannot


@dataclass(frozen=True, kw_only=True)
class Row:
    """One profile: what it is, and one cell for everything a stack may ask of it."""

    controller: str
    kind: Kind = "ingress"
    class_name: str | None = None
    # GKE and AGIC read the class from the annotation only.
    class_by_annotation: bool = False
    base: Mapping[str, str] = field(default_factory=dict[str, str])
    host: Cell = Already("a rule of its own for every host")
    tls: Cell = Already("the Ingress names the Secret")
    certificate: Cell = Cannot("it takes its certificate from a Secret", "tls.mode")
    timeouts: Cell
    idle_timeout: Cell = Cannot(
        "it has one timeout for silent connections, not one of the load balancer's own", "exposure.timeoutSeconds"
    )
    affinity: Cell
    affinity_lifetime: Cell = Already("with the cookie")
    streaming: Cell
    body_size: Cell
    rate_limit: Cell
    burst: Cell = Already("with the rate")
    allow_from: Cell
    # A server under a path of the host. The program serves at the root, so the path must be taken off.
    prefix: Cell
    draining: Cell = Already("pods wait before they stop, so the controller has taken them out of its list")
    # The least and the greatest value of a field that the controller accepts.
    limits: Mapping[str, tuple[int, int]] = field(default_factory=dict[str, tuple[int, int]])
