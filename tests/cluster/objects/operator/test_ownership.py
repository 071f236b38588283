"""What the API server records as the operator's, compared with what the operator would apply."""

import asyncio

from app.kubernetes.access import of_kubeconfig
from app.operator.kube import Kube
from app.operator.manifests import KINDS, manifests
from app.operator.model import Agent, Around
from app.operator.ownership import digest, ours, substance

EVERYTHING = {
    "capabilities": [{"name": "sum", "version": "2.1.0", "timeout": 5, "tags": ["maths"]}, {"name": "greeting"}],
    "dependencies": ["weather"],
    "environment": [
        {"name": "ZONE", "value": "a"},
        {"name": "EMPTY", "value": ""},
        {"name": "API_KEY", "secret": {"name": "keys", "key": "api"}},
    ],
    "autoscaling": {},
    "internetAccess": True,
    "serviceMonitor": True,
}
AROUND = Around(image="slipway@sha256:1", registry_url="http://registry", pull_secret="pull")


def of(space, name, **spec):
    body = space.agent(name, **spec)
    return manifests(Agent.read(body), AROUND)


def on(server, work):
    """Let `work` use the operator's own client."""

    async def run():
        async def log_in():
            return await of_kubeconfig(server.kubeconfig)

        kube = Kube(log_in)
        try:
            return await work(kube)
        finally:
            await kube.close()

    return asyncio.run(run())


def path_of(manifest):
    metadata = manifest["metadata"]
    return KINDS[manifest["kind"]].path(metadata["namespace"], metadata["name"])


def test_what_was_applied_is_ours_to_the_last_field(server, space):
    wanted = [*of(space, "everything", **EVERYTHING), *of(space, "least"), *of(space, "none", replicas=0)]

    async def apply(kube):
        return [await kube.apply_new(path_of(manifest), manifest) for manifest in wanted]

    made = on(server, apply)
    assert [ours(found) for found in made] == [substance(manifest) for manifest in wanted]


def test_what_another_changed_or_removed_is_ours_no_more_and_what_another_added_never_was(server, space):
    wanted = next(manifest for manifest in of(space, "hello") if manifest["kind"] == "Deployment")
    path = path_of(wanted)

    async def apply(kube):
        return await kube.apply(path, wanted)

    before = ours(on(server, apply))
    added = {"metadata": {"annotations": {"by": "hand"}}, "spec": {"paused": True}}
    assert ours(space.api.merge(path, added)) == before
    changed = ours(space.api.merge(path, {"spec": {"revisionHistoryLimit": 9}}))
    assert "revisionHistoryLimit" not in changed["spec"]
    removed = ours(space.api.merge(path, {"spec": {"template": {"spec": {"terminationGracePeriodSeconds": None}}}}))
    assert "terminationGracePeriodSeconds" not in removed["spec"]["template"]["spec"]
    assert digest(removed) != digest(before)
    assert ours(on(server, apply)) == before


def test_an_object_that_is_there_is_not_taken_for_a_new_one(server, space):
    wanted = next(manifest for manifest in of(space, "hello") if manifest["kind"] == "ServiceAccount")
    path = path_of(wanted)
    metadata = {"name": "hello", "namespace": space.name}
    theirs = space.api.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})

    async def apply(kube):
        return await kube.apply_new(path, wanted)

    assert on(server, apply) is None
    assert space.api.get(path)["metadata"]["resourceVersion"] == theirs["metadata"]["resourceVersion"]
