"""Every port of the platform, once: containers, Services and network policies are made from these."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Port:
    """A named port. The name is what Services and policies refer to, so the number can differ per server."""

    name: str
    number: int
    protocol: str = "TCP"


HTTP = Port(name="http", number=8000)
WEBSOCKET = Port(name="http", number=8080)
MAP = Port(name="http", number=8081)
GATEWAY = Port(name="http", number=8051)
EXTERNAL_SERVER = Port(name="mcp", number=8000)
REGISTRY = Port(name="http", number=8000)
AGENT = Port(name="http", number=8080)
SERVICE = Port(name="http", number=80)
REDIS = Port(name="redis", number=6379)
SENTINEL = Port(name="sentinel", number=26379)
MONGODB = Port(name="mongodb", number=27017)
MONGO_EXPRESS = Port(name="admin", number=8081)
ACME_SOLVER = Port(name="solver", number=8089)
DNS_UDP = Port(name="dns", number=53, protocol="UDP")
DNS_TCP = Port(name="dns-tcp", number=53)
HTTPS = Port(name="https", number=443)
# Where pages of the web are besides.
WEB = (Port(name="web", number=80), Port(name="web-alt", number=8080), Port(name="web-alt-tls", number=8443))
KUBERNETES_API = Port(name="kube-api", number=6443)
NODE_PORT = 30800
