"""The pod launcher on the real API server: admission, watching, adoption, quotas, ends."""

import asyncio

import pytest

from app.gateway.launcher import LaunchError, UrlEndpoint
from app.gateway.spec import Limits, SecretRef


async def test_a_server_is_a_restricted_pod_that_is_watched_adopted_and_stopped(space, until, soon):
    launcher = await space.launcher()
    assert await launcher.adopt() == []
    launched = await launcher.start(space.spec())
    assert (launched.state, launched.endpoint) == ("starting", None)
    pod = space.pod()
    space.run(pod)
    running = await until(launcher, "time", "running")
    assert running.endpoint == UrlEndpoint("http://10.1.2.3:8000/mcp")
    await launcher.close()
    again = await space.launcher()
    (adopted,) = await again.adopt()
    assert (adopted.id, adopted.state, adopted.digest) == ("time", "running", running.digest)
    assert (await again.start(space.spec())).endpoint == running.endpoint
    assert len(space.pods()) == 1
    await again.stop("time")
    assert space.pods() == []
    await again.stop("time")
    await again.stop("never-there")


async def test_a_package_that_would_be_fetched_by_another_secret_is_not_taken_up_as_it_is(space, until, soon):
    """The Secret of before is gone: no container of such a pod could start again."""

    def by_server() -> dict[str, dict]:
        return {pod["metadata"]["labels"]["slipway.dev/server"]: pod for pod in space.pods()}

    launcher = await space.launcher(environment_secret="registries-1")
    ours = space.spec("own", type="archon", transport="http", port=8000, image="archon:1", command=())
    for spec in (space.spec(), ours):
        await launcher.start(spec)
    before = by_server()
    for pod in before.values():
        space.run(pod)
    for name in before:
        await until(launcher, name, "running")
    await launcher.close()

    again = await space.launcher(environment_secret="registries-2")
    adopted = {launched.id: launched.digest for launched in await again.adopt()}
    assert adopted == {"time": "", "own": ours.digest()}
    for spec in (space.spec(), ours):
        await again.start(spec)
    uid = before["time"]["metadata"]["uid"]
    await soon(lambda: uid not in {pod["metadata"]["uid"] for pod in space.pods()}, "the end of the pod of before")
    now = by_server()
    assert now["own"]["metadata"]["uid"] == before["own"]["metadata"]["uid"]
    (reference,) = now["time"]["spec"]["containers"][0]["envFrom"]
    assert reference["secretRef"] == {"name": "registries-2"}


async def test_a_pod_has_what_its_server_needs_and_no_secret_in_the_open(space):
    launcher = await space.launcher(
        labels={"app.kubernetes.io/name": "gateway-servers", "slipway.dev/internet": "true"}
    )
    spec = space.spec(
        environment={"REDIS_URL": "redis://cache", "PRICE": "$(HOME) $5"},
        secret_environment={"API_KEY": SecretRef("time-secrets", "key")},
        limits=Limits(cpu="2", memory="1Gi", cpu_request="50m", memory_request="128Mi"),
        internet=False,
    )
    await launcher.start(spec)
    pod = space.pod()
    (container,) = pod["spec"]["containers"]
    environment = {entry["name"]: entry for entry in container["env"]}
    assert environment["SLIPWAY_CHILD_REDIS_URL"]["value"] == "redis://cache"
    assert environment["SLIPWAY_CHILD_PRICE"]["value"] == "$$(HOME) $$5"
    reference = environment["SLIPWAY_CHILD_API_KEY"]["valueFrom"]["secretKeyRef"]
    assert reference == {"name": "time-secrets", "key": "key"}
    assert container["resources"]["limits"] == {"cpu": "2", "memory": "1Gi"}
    assert container["command"][-2:] == ["uvx", "mcp-server-time"]
    assert "slipway.dev/internet" not in pod["metadata"]["labels"]
    assert pod["metadata"]["labels"]["app.kubernetes.io/name"] == "gateway-servers"
    assert pod["spec"]["automountServiceAccountToken"] is False
    assert {volume["name"] for volume in pod["spec"]["volumes"]} == {"cache", "tmp"}
    (owner,) = pod["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"]) == ("Deployment", "gateway")


async def test_a_pod_that_others_delete_is_replaced(space, until):
    launcher = await space.launcher()
    await launcher.start(space.spec())
    first = space.pod()
    space.run(first)
    await until(launcher, "time", "running")
    space.admin.delete(space.path(first["metadata"]["name"]))
    replaced = await until(launcher, "time", "starting")
    assert replaced.restarts == 1
    assert replaced.endpoint is None


async def test_a_pod_that_is_evicted_is_replaced_and_not_left_behind(space, until, soon):
    launcher = await space.launcher()
    await launcher.start(space.spec())
    first = space.pod()
    space.write_status(first, phase="Failed", reason="Evicted", message="The node was low on memory.")
    await soon(
        lambda: [pod["metadata"]["uid"] for pod in space.pods()] not in ([], [first["metadata"]["uid"]]),
        "another pod is in its place",
    )
    (second,) = await soon(lambda: space.pods() if len(space.pods()) == 1 else None, "only one is left")
    space.run(second)
    assert (await until(launcher, "time", "running")).restarts == 1


async def test_a_pod_tells_why_it_does_not_run_in_the_words_of_its_status(space, until):
    launcher = await space.launcher()
    await launcher.start(space.spec())
    pod = space.pod()
    space.write_status(
        pod,
        conditions=[{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "no room"}],
    )
    space.write_container(
        pod, waiting={"reason": "ImagePullBackOff", "message": 'Back-off pulling image "x": not found'}
    )
    failed = await until(launcher, "time", "failed")
    assert failed.reason == 'ImagePullBackOff: Back-off pulling image "x": not found'
    over = {"exitCode": 3, "reason": "Error", "message": "one\ncannot find the flux capacitor\n"}
    space.write_container(pod, restarts=2, waiting={"reason": "CrashLoopBackOff"}, last=over)
    crashed = await until(launcher, "time", "failed", wanted=lambda seen: seen.restarts == 2)
    assert crashed.reason == "CrashLoopBackOff: exit status 3: cannot find the flux capacitor"
    space.run(pod)
    assert (await until(launcher, "time", "running")).reason == ""


async def test_an_event_is_a_reason_while_the_status_has_none(space, until):
    launcher = await space.launcher()
    await launcher.start(space.spec())
    pod = space.pod()
    space.warn(pod, "FailedCreatePodSandBox", "no address is left")
    told = await until(launcher, "time", "starting", wanted=lambda seen: bool(seen.reason))
    assert told.reason == "FailedCreatePodSandBox: no address is left"


async def test_a_quota_and_a_missing_right_are_told_at_once(space):
    space.admin.apply(
        {
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": {"name": "few", "namespace": space.name},
            "spec": {"hard": {"pods": "0"}},
        }
    )
    launcher = await space.launcher()
    await space.quota_counts()
    with pytest.raises(LaunchError, match=r"QuotaExceeded: .*exceeded quota: few.*stop a server, or raise the quota"):
        await launcher.start(space.spec())
    with pytest.raises(LaunchError, match="exceeded quota"):
        await launcher.check()
    elsewhere = await space.launcher(namespace="default", owner=None)
    with pytest.raises(LaunchError, match="forbidden"):
        await elsewhere.start(space.spec())


async def test_another_spec_takes_the_place_of_what_runs(space, soon):
    launcher = await space.launcher()
    await launcher.start(space.spec())
    first = space.pod()
    second = await launcher.start(space.spec(command=("uvx", "mcp-server-fetch")))
    (left,) = await soon(lambda: space.pods() if len(space.pods()) == 1 else None, "only the new pod is left")
    assert left["metadata"]["uid"] != first["metadata"]["uid"]
    assert left["metadata"]["annotations"]["slipway.dev/digest"] == second.digest


async def test_two_gateways_of_one_name_make_one_pod(space):
    one, other = await space.launcher(), await space.launcher()
    await asyncio.gather(one.start(space.spec()), other.start(space.spec()))
    assert len(space.pods()) == 1


async def test_pods_go_with_the_deployment_of_their_gateway(space, soon):
    launcher = await space.launcher()
    await launcher.start(space.spec())
    await launcher.close()
    space.admin.delete(f"/apis/apps/v1/namespaces/{space.name}/deployments/gateway")
    await soon(lambda: space.pods() == [], "its pods are collected", seconds=60)


async def test_what_a_gateway_makes_when_its_deployment_is_gone_goes_too(space, soon):
    earlier, launcher = await space.launcher(), await space.launcher()
    await earlier.start(space.spec())
    await earlier.close()
    await launcher.adopt()
    await launcher.start(space.spec())
    before = space.admin.list(space.path())["metadata"]["resourceVersion"]
    space.admin.delete(f"/apis/apps/v1/namespaces/{space.name}/deployments/gateway")
    replacement = await space.made_since(before)
    assert replacement["metadata"]["ownerReferences"]
    await launcher.close()
    await soon(lambda: space.pods() == [], "it is collected as well", seconds=60)


async def test_check_is_content_where_pods_can_be_made(space):
    await (await space.launcher()).check()


async def test_what_ran_under_a_gateway_of_another_name_is_not_adopted(space):
    await (await space.launcher()).start(space.spec())
    assert await (await space.launcher(gateway="other", owner=None)).adopt() == []
