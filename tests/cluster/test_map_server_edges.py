"""Who reaches whom in the map server's stack: each edge that the platform declares is open, all else is shut."""

import pytest
from usage.reach import Target, Walk, outside_world

pytestmark = pytest.mark.cluster

SPACE, SERVER = "mcp-map-server", "mcp-map-server"
ANYTHING = {"dns", "kubernetes", "internet", "internet, without TLS", "private"}


@pytest.fixture
def walk(running, cluster, kubectl, images):
    running.stack("map-server")
    monitoring = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "monitoring"}}
    cluster.apply(monitoring, "slipway-tests")
    found = Walk(cluster, kubectl, images["app"])
    yield found
    found.leave()
    cluster.delete(monitoring, "Foreground")


def test_each_edge_is_open_and_every_other_pair_is_shut(walk, cluster):
    walk.component(SPACE, SERVER, 8081)
    walk.component(SPACE, "redis", 6379)
    walk.component(SPACE, "redis-sentinel", 26379)
    walk.visitor(SPACE, "neighbour")
    for space in ("default", "ingress-nginx", "monitoring"):
        walk.visitor(space, f"from-{space}")
    [dns] = cluster.select("v1", "Pod", "kube-system", "k8s-app=kube-dns")
    service = cluster.get("v1", "Service", "default", "kubernetes")
    walk.targets += [
        Target("dns", dns["status"]["podIP"], 53),
        Target("kubernetes", service["spec"]["clusterIP"], 443),
    ]
    with outside_world() as targets:
        walk.targets += targets
        walk.check(
            {
                SERVER: {"redis", "redis-sentinel", "dns", "internet"},
                "redis": {"redis", "redis-sentinel", "dns"},
                "redis-sentinel": {"redis", "redis-sentinel", "dns"},
                "neighbour": {"dns"},
                "from-default": ANYTHING,
                "from-ingress-nginx": {SERVER, *ANYTHING},
                "from-monitoring": {SERVER, *ANYTHING},
            }
        )
