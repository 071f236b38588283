"""The production stack's data: MongoDB restarted under clients, Redis copied, lost and restored as the docs say."""

import asyncio
import json
from collections.abc import Callable

import pytest
from engine.lifecycle import wait_for
from engine.plugins.kube.client import ApiError
from usage.clients import content, mark, markers, old_session, patiently
from usage.pods import Pods

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("stack", "outside")]

SPACE = "slipway"
URL = "https://mcp.slipway.internal/mcp"
JOB = "redis-backup-now"
# Runs as Redis does; the newest copy becomes what the pod finds when it starts.
RESTORE = "cp $(ls -1 /backups/redis-*.rdb | sort | tail -n 1) /data/restore.rdb"


@pytest.fixture(scope="module")
def stack(running):
    return running.stack("prod")


def finished(kubectl: Callable[..., str], kind: str, name: str) -> bool:
    status = json.loads(kubectl("-n", SPACE, "get", kind, name, "-o", "json"))["status"]
    if status.get("failed") or status.get("phase") == "Failed":
        raise AssertionError(kubectl("-n", SPACE, "logs", f"{kind}/{name}"))
    return bool(status.get("succeeded")) or status.get("phase") == "Succeeded"


async def test_documents_outlive_mongodb_and_calls_recover(cluster, kubectl):
    mongodb = Pods(cluster, SPACE, "mongodb")
    [before] = [pod["metadata"] for pod in mongodb.all()]

    def back() -> bool:
        return bool(mongodb.ready()) and all(pod["metadata"]["uid"] != before["uid"] for pod in mongodb.all())

    async with old_session(URL) as client:

        async def found() -> int:
            documents = content(await client.call_tool("find", {"collection": "ships", "filter": {"name": "Fram"}}))
            return len(documents["documents"])

        content(await client.call_tool("insert", {"collection": "ships", "documents": [{"name": "Fram"}]}))
        assert await found() == 1
        kubectl("-n", SPACE, "delete", "pod", before["name"], "--now", "--wait=false")
        await asyncio.to_thread(wait_for, back, "MongoDB", mongodb.names)
        assert await patiently(found) == 1


async def test_what_redis_held_is_back_after_the_documented_restore(cluster, kubectl, images):
    redis, sentinels = Pods(cluster, SPACE, "redis"), Pods(cluster, SPACE, "redis-sentinel")

    def scaled(replicas: int, *sets: Pods) -> None:
        for each in sets:
            kubectl("-n", SPACE, "scale", "statefulset", each.component, f"--replicas={replicas}")

            def there(each: Pods = each) -> bool:
                return len(each.ready()) == replicas == len(each.all())

            wait_for(there, f"{replicas} of {each.component}", each.names)

    def copy() -> None:
        kubectl("-n", SPACE, "create", "job", "--from=cronjob/redis-backup", JOB)
        wait_for(lambda: finished(kubectl, "job", JOB), "the copy")

    def lose_everything() -> None:
        scaled(0, redis, sentinels)

    def restore() -> None:
        cluster.apply(restorer(images["redis"]), "a-person")
        wait_for(lambda: finished(kubectl, "pod", "restore"), "the copying back")
        kubectl("-n", SPACE, "delete", "pod", "restore", "--now")
        others = [f"data-redis-{index}" for index in (1, 2)]
        votes = [f"data-redis-sentinel-{index}" for index in range(3)]
        kubectl("-n", SPACE, "delete", "pvc", *others, *votes)
        scaled(1, redis)
        scaled(3, redis)
        scaled(3, sentinels)

    wait_for(lambda: len(redis.ready()) == 3, "three of Redis", redis.names)
    async with old_session(URL) as client:
        await mark(client)
        await asyncio.to_thread(copy)
        # What comes after the copy is what a restore loses.
        await mark(client)
        assert await markers(client) == 2
        await asyncio.to_thread(lose_everything)
        await asyncio.to_thread(restore)
        assert await patiently(lambda: markers(client), seconds=120) == 1
        await patiently(lambda: mark(client))
        assert await patiently(lambda: markers(client)) == 2


def restorer(image: str) -> dict:
    """The pod of the runbook's second step, as the namespace's rules want it."""
    volumes = {"backups": "redis-backups", "data": "data-redis-0"}
    container = {
        "name": "restore",
        "image": image,
        "command": ["sh", "-c", RESTORE],
        "volumeMounts": [{"name": name, "mountPath": f"/{name}"} for name in volumes],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"cpu": "100m", "memory": "64Mi"}},
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "restore", "namespace": SPACE},
        "spec": {
            "restartPolicy": "Never",
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 999,
                "runAsGroup": 999,
                "fsGroup": 999,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [container],
            "volumes": [
                {"name": name, "persistentVolumeClaim": {"claimName": claim}} for name, claim in volumes.items()
            ],
        },
    }


def greedy(containers: int, cpu: str) -> dict:
    """A pod that obeys every rule but those of quantity."""
    pod = restorer("slipway:1")
    [container] = pod["spec"]["containers"]
    amounts = {"cpu": cpu, "memory": "64Mi"}
    sized = {**container, "volumeMounts": [], "resources": {"requests": amounts, "limits": amounts}}
    pod["spec"] |= {"volumes": [], "containers": [{**sized, "name": f"it-{index}"} for index in range(containers)]}
    return pod


@pytest.mark.parametrize(
    ("containers", "cpu", "refusal"),
    [(5, "2", "exceeded quota"), (1, "3", "maximum cpu usage per Container is 2")],
    ids=["more than the namespace has", "more than one container may have"],
)
def test_a_pod_that_wants_too_much_is_denied(cluster, containers, cpu, refusal):
    with pytest.raises(ApiError, match=refusal):
        cluster.apply(greedy(containers, cpu), "somebody")
