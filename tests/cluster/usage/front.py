"""Where the node serves the stacks' public names, and whether it does so with a certificate that clients trust."""

import socket
import ssl
from pathlib import Path

from engine.plugins.kube.client import Cluster
from harness.enclosure import NODE_ADDRESS
from harness.ingress import TRAEFIK_ADDRESS

PUBLIC = {"mcp-map.your-domain.com": NODE_ADDRESS, "mcp.slipway.internal": TRAEFIK_ADDRESS}


def public_hosts(cluster: Cluster, namespace: str) -> set[str]:
    """Of a stack's, those that the node serves over TLS."""
    ingresses = cluster.select("networking.k8s.io/v1", "Ingress", namespace)
    hosts = {host for found in ingresses for tls in found["spec"].get("tls", []) for host in tls["hosts"]}
    return hosts & set(PUBLIC)


def is_trusted(host: str, root: Path) -> bool:
    """Whether the ingress shows a certificate of this authority. It hears of one a moment after that is issued."""
    context = ssl.create_default_context(cafile=str(root))
    try:
        with socket.create_connection((PUBLIC[host], 443), 5) as plain:
            context.wrap_socket(plain, server_hostname=host).close()
    except OSError:
        return False
    return True
