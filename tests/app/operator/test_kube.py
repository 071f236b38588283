"""What the operator adds to asking the API server: nothing is changed without the lease, and answers are counted."""

import pytest
from aiohttp import web

from app.kubernetes import ApiAway, ApiError
from app.kubernetes.access import Access
from app.operator.kube import Kube, NotPermitted


@pytest.fixture
async def server():
    """Takes every change, and has nothing to read."""
    asked = []

    async def answer(request):
        asked.append((request.method, request.headers.get("content-type")))
        if request.method == "GET":
            return web.json_response({"reason": "NotFound", "message": "not found"}, status=404)
        return web.json_response({}, status=201)

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}", asked
    await runner.cleanup()


def login_at(address):
    async def login():
        return Access(server=address)

    return login


async def test_without_the_lease_it_reads_and_changes_nothing(server):
    address, asked = server
    permitted = True
    kube = Kube(login_at(address), permitted=lambda: permitted)
    await kube.apply("/thing", {"kind": "Thing"})
    permitted = False
    for change in (
        kube.apply("/thing", {}),
        kube.merge("/thing", {}),
        kube.create("/thing", {}),
        kube.replace("/thing", {}),
        kube.delete("/thing"),
    ):
        with pytest.raises(NotPermitted):
            await change
    assert await kube.get("/thing") is None
    assert asked == [("PATCH", "application/apply-patch+yaml"), ("GET", None)]
    await kube.close()


async def test_every_answer_is_counted_with_its_status_and_none_as_zero(server):
    address, _ = server
    counted = []
    kube = Kube(login_at(address), counted=lambda *call: counted.append(call))
    await kube.create("/things", {})
    with pytest.raises(ApiError):
        await kube.request("GET", "/thing")
    await kube.close()
    away = Kube(login_at("http://127.0.0.1:9"), counted=lambda *call: counted.append(call))
    with pytest.raises(ApiAway):
        await away.request("GET", "/thing", attempts=1)
    await away.close()
    assert counted == [("POST", 201), ("GET", 404), ("GET", 0)]
