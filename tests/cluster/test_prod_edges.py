"""Who reaches whom in the production stack: each edge that the platform declares is open, all else is shut."""

import pytest
from usage.reach import ANYTHING, Walk, outside_world

from infra import naming

pytestmark = pytest.mark.cluster

SPACE = "slipway"
SOLVER = {"acme.cert-manager.io/http01-solver": "true"}


@pytest.fixture
def walk(running, walk):
    running.stack("prod")
    return walk


def test_each_edge_is_open_and_every_other_pair_is_shut(walk: Walk):
    walk.services()
    walk.component(SPACE, "web", 8000)
    walk.component(SPACE, "redis", 6379)
    walk.component(SPACE, "redis-sentinel", 26379)
    walk.component(SPACE, "mongodb", 27017)
    # Pods that come for a moment only: in their place, others with their labels.
    for name in ("redis-backup", "mongodb-backup"):
        walk.visitor(SPACE, name, naming.selector(name, "backup"))
    walk.visitor(SPACE, "acme-solver", SOLVER, port=8089)
    walk.visitor(SPACE, "neighbour")
    for space in ("default", "ingress-nginx", "traefik", "monitoring"):
        walk.visitor(space, f"from-{space}")
    with outside_world() as targets:
        walk.targets += targets
        walk.check(
            {
                # Its search tools read pages of the web, also those without TLS.
                "web": {"redis", "redis-sentinel", "mongodb", "dns", "internet", "internet, without TLS"},
                "redis": {"redis", "redis-sentinel", "dns"},
                "redis-sentinel": {"redis", "redis-sentinel", "dns"},
                # The one member reaches itself, as every pod does.
                "mongodb": {"mongodb", "dns"},
                "redis-backup": {"redis", "dns"},
                "mongodb-backup": {"mongodb", "dns"},
                "acme-solver": {"acme-solver", "dns"},
                "neighbour": {"dns"},
                "from-default": {*ANYTHING},
                "from-ingress-nginx": {*ANYTHING},
                "from-traefik": {"web", "acme-solver", *ANYTHING},
                "from-monitoring": {"web", *ANYTHING},
            }
        )
