"""The usual edges of the platform, each made by one function from the ports that the pods themselves use.

Probes need none: a kubelet's traffic to the pods of its own node is always allowed. Where a network plugin thinks
otherwise, `probes` allows the nodes' addresses.
"""

from collections.abc import Mapping
from urllib.parse import urlsplit

from infra import ports
from infra.edges import PRIVATE_RANGES, Addresses, Edge, ForeignPods, Peer, Pods
from infra.ports import Port
from infra.urls import address_range, url_port

ALL_PODS = Pods(name="pods", selector={})
CLUSTER_DNS = ForeignPods(name="dns", namespace="kube-system", labels={"k8s-app": "kube-dns"})
NODE_LOCAL_DNS = Addresses(name="node-dns", cidrs=("169.254.20.10/32",))
_OPERATED = {"app.kubernetes.io/component": "agent", "app.kubernetes.io/managed-by": "slipway-operator"}
# What the operator makes pods for; their own policies let them out.
OPERATED_AGENTS = ForeignPods(name="operated-agents", namespace=None, labels=_OPERATED)
# Those of the platform's own namespace. When an agent is deleted in the foreground, its policy goes while its pods end.
LEAVING_AGENTS = Pods(name="leaving-agents", selector=_OPERATED)
# cert-manager puts its solver into the namespace of the Certificate.
ACME_SOLVER = Pods(name="acme-solver", selector={"acme.cert-manager.io/http01-solver": "true"})


def dns(source: Pods = ALL_PODS) -> tuple[Edge, ...]:
    """Names, from the cluster's DNS or from the cache that many clusters run on each node."""
    asked = (ports.DNS_UDP, ports.DNS_TCP)
    return (
        Edge(source=source, target=CLUSTER_DNS, ports=asked, reason="Resolve names."),
        Edge(source=source, target=NODE_LOCAL_DNS, ports=asked, reason="Resolve names through the node's cache."),
    )


def https_egress(source: Pods, excluded: tuple[str, ...] = PRIVATE_RANGES) -> Edge:
    """The public services that tools call; not the metadata service, not what is private."""
    internet = Addresses(name="internet", excluded=excluded)
    return Edge(source=source, target=internet, ports=(ports.HTTPS,), reason="Call public services over HTTPS.")


def web_egress(source: Pods, excluded: tuple[str, ...] = PRIVATE_RANGES) -> Edge:
    """Pages of the public web, for tools that fetch them: HTTPS, and where else web servers listen."""
    internet = Addresses(name="internet", excluded=excluded)
    return Edge(source=source, target=internet, ports=(ports.HTTPS, *ports.WEB), reason="Fetch pages of the web.")


def redis(source: Pods, target: Pods) -> Edge:
    return Edge(source=source, target=target, ports=(ports.REDIS,), reason="Keep sessions and state in Redis.")


def sentinel(source: Pods, target: Pods) -> Edge:
    return Edge(source=source, target=target, ports=(ports.SENTINEL,), reason="Ask Sentinel for the master.")


def redis_replication(redis_pods: Pods, sentinel_pods: Pods) -> tuple[Edge, ...]:
    """What Redis with Sentinel needs among its own pods."""
    return (
        Edge(source=redis_pods, target=redis_pods, ports=(ports.REDIS,), reason="Replicate from the master."),
        Edge(source=sentinel_pods, target=redis_pods, ports=(ports.REDIS,), reason="Watch and promote."),
        Edge(source=sentinel_pods, target=sentinel_pods, ports=(ports.SENTINEL,), reason="Agree on the master."),
        Edge(source=redis_pods, target=sentinel_pods, ports=(ports.SENTINEL,), reason="Find the master at start."),
    )


def mongodb(source: Pods, target: Pods) -> Edge:
    return Edge(source=source, target=target, ports=(ports.MONGODB,), reason="Keep documents in MongoDB.")


def mongodb_replication(members: Pods) -> Edge:
    return Edge(source=members, target=members, ports=(ports.MONGODB,), reason="Replicate and elect.")


def registry(source: Pods | ForeignPods, target: Pods, port: Port = ports.REGISTRY) -> Edge:
    return Edge(source=source, target=target, ports=(port,), reason="Register, heartbeat and find agents.")


def call(source: Pods | ForeignPods, target: Pods, port: Port) -> Edge:
    """MCP from one pod of the platform to another: gateway to server, agent to agent."""
    return Edge(source=source, target=target, ports=(port,), reason="Call tools.")


def ingress_controller(target: Pods, port: Port, *, namespace: str, labels: Mapping[str, str] | None = None) -> Edge:
    controller = ForeignPods(name="ingress", namespace=namespace, labels=labels or {})
    return Edge(source=controller, target=target, ports=(port,), reason="Pass on clients from outside.")


def public(target: Pods, port: Port, cidrs: tuple[str, ...] = ("0.0.0.0/0",)) -> Edge:
    """Clients that reach the pods without an ingress controller of the cluster: a NodePort, a cloud's balancer."""
    clients = Addresses(name="clients", cidrs=cidrs)
    return Edge(source=clients, target=target, ports=(port,), reason="Serve clients from outside.")


def prometheus(target: Pods, port: Port, *, namespace: str, labels: Mapping[str, str] | None = None) -> Edge:
    scraper = ForeignPods(name="prometheus", namespace=namespace, labels=labels or {})
    return Edge(source=scraper, target=target, ports=(port,), reason="Scrape metrics.")


def collector(source: Pods, endpoint: str) -> Edge:
    """Spans to whoever collects them: a Service `name.namespace`, whose pods listen on the same port, or an address."""
    host = urlsplit(endpoint).hostname or ""
    port = Port(name="otlp", number=url_port(endpoint))
    return Edge(source=source, target=_collector_peer(host), ports=(port,), reason="Send spans.")


def _collector_peer(host: str) -> Peer:
    if (spelt := address_range(host)) is not None:
        return Addresses(name="collector", cidrs=(spelt,))
    _, _, rest = host.partition(".")
    namespace, _, suffix = rest.partition(".")
    if not suffix or suffix.split(".")[0] == "svc":
        return ForeignPods(name="collector", namespace=namespace or None)
    return Addresses(name="collector")


def probes(target: Pods, port: Port, *, nodes: tuple[str, ...]) -> Edge:
    kubelets = Addresses(name="kubelets", cidrs=nodes)
    return Edge(source=kubelets, target=target, ports=(port,), reason="Probe the pods.")


def acme_solver(*, namespace: str, labels: Mapping[str, str] | None = None) -> Edge:
    """The certificate authority's question, which comes through the ingress controller."""
    return ingress_controller(ACME_SOLVER, ports.ACME_SOLVER, namespace=namespace, labels=labels)


def kubernetes_api(source: Pods, cidrs: tuple[str, ...] = ()) -> Edge:
    """The API server, on the port of its Service and on its own; its addresses where they are known."""
    server = Addresses(name="kubernetes-api", cidrs=cidrs or ("0.0.0.0/0",))
    return Edge(
        source=source, target=server, ports=(ports.HTTPS, ports.KUBERNETES_API), reason="Use the Kubernetes API."
    )
