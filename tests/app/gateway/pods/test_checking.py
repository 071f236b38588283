"""Whether pods can be made, as /ready tells it."""

from dataclasses import replace

import pytest
from aiohttp import web

from app.gateway.pods.launcher import PodLauncher
from app.gateway.pods.options import PodOptions
from app.lifecycle import Amiss


@pytest.fixture
async def launcher(cluster, say):
    """A launcher on a cluster whose answer to one more pod a test says."""
    created = []

    async def answer(request):
        if request.method == "POST":
            created.append(request.query.get("dryRun"))
            return await cluster.told(request)
        chosen = say.watched(stay=True) if request.query.get("watch") else say.listed("1")
        return await chosen(request)

    cluster.answers = [answer]
    cluster.told = say.status(403, "Forbidden", "exceeded quota: few")
    made = PodLauncher(cluster.api(), replace(PodOptions(), namespace="here"))
    made.created = created
    yield made
    await made.close()


async def test_a_quota_is_amiss_and_is_not_asked_for_each_time(launcher):
    for _ in range(3):
        with pytest.raises(Amiss, match="no pod can be made: exceeded quota"):
            await launcher.check()
    assert launcher.created == ["All"]


async def test_all_is_well_where_a_pod_would_be_taken(launcher, cluster):
    async def taken(request):
        return web.json_response({"metadata": {"name": "trial", "uid": "1"}}, status=201)

    cluster.told = taken
    await launcher.check()
