"""Who reaches whom in the map server's stack: each edge that the platform declares is open, all else is shut."""

import pytest
from usage.reach import ANYTHING, Walk, outside_world

pytestmark = pytest.mark.cluster

SPACE, SERVER = "mcp-map-server", "mcp-map-server"


@pytest.fixture
def walk(running, walk):
    running.stack("map-server")
    return walk


def test_each_edge_is_open_and_every_other_pair_is_shut(walk: Walk):
    walk.services()
    walk.component(SPACE, SERVER, 8081)
    walk.component(SPACE, "redis", 6379)
    walk.component(SPACE, "redis-sentinel", 26379)
    walk.visitor(SPACE, "neighbour")
    for space in ("default", "ingress-nginx", "traefik", "monitoring"):
        walk.visitor(space, f"from-{space}")
    with outside_world() as targets:
        walk.targets += targets
        walk.check(
            {
                SERVER: {"redis", "redis-sentinel", "dns", "internet"},
                "redis": {"redis", "redis-sentinel", "dns"},
                "redis-sentinel": {"redis", "redis-sentinel", "dns"},
                "neighbour": {"dns"},
                "from-default": {*ANYTHING},
                "from-traefik": {*ANYTHING},
                "from-ingress-nginx": {SERVER, *ANYTHING},
                "from-monitoring": {SERVER, *ANYTHING},
            }
        )
