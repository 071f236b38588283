"""The pod launcher on the real API server: admission, watching, adoption, quotas, ends."""

import asyncio


async def test_a_server_is_a_restricted_pod_that_is_watched_adopted_and_stopped(space, until, soon):
    launcher = await space.launcher()
    assert await launcher.adopt() == []
    launched = await launcher.start(space.spec())
    assert (launched.state, launched.endpoint) == ("starting", None)
    pod = space.pod()
    space.run(pod)
    running = await until(launcher, "time", "running")
    assert running.endpoint.url == "http://10.1.2.3:8000/mcp"
    await launcher.close()
    again = await space.launcher()
    (adopted,) = await again.adopt()
    assert (adopted.id, adopted.state, adopted.digest) == ("time", "running", running.digest)
    assert (await again.start(space.spec())).endpoint == running.endpoint
    assert len(space.pods()) == 1
    stopping = asyncio.create_task(again.stop("time"))
    await soon(lambda: not space.pods() or space.pod()["metadata"].get("deletionTimestamp"), "it is being deleted")
    await stopping
    assert space.pods() == []
