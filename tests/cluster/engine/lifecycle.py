"""What happens to a stack in its life, as steps that any test can take, and what must hold after each."""

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.plugins.kube.client import ApiError, Cluster
from engine.stack import Done, Stack

# Made by the cluster in its own time, by nobody's hand, and gone the same way.
PASSING = frozenset(
    {
        "Event",
        "Lease",
        "EndpointSlice",
        "Endpoints",
        "PodMetrics",
        "NodeMetrics",
        "ControllerRevision",
        "ComponentStatus",
    }
)
# What outlives a protected stack.
DATA = frozenset({"Namespace", "PersistentVolumeClaim", "StatefulSet"})
# They roll when their configuration changes: a replacement would be an outage.
WORKLOADS = frozenset({"Deployment", "StatefulSet", "DaemonSet"})
Thing = tuple[str, str, str]
_OF_RELEASE = "meta.helm.sh/release-namespace"


def everything(cluster: Cluster) -> set[Thing]:
    """Every object that a person would call one: its kind, the namespace that it is in or for, and its name."""
    groups = cluster.request("GET", "/apis")["groups"]
    versions = ["v1", *(group["preferredVersion"]["groupVersion"] for group in groups)]
    found: set[Thing] = set()
    for version in versions:
        root = f"/apis/{version}" if "/" in version else f"/api/{version}"
        try:
            resources = cluster.request("GET", root)["resources"]
        except ApiError:
            continue
        for resource in resources:
            if "/" in resource["name"] or "list" not in resource["verbs"] or resource["kind"] in PASSING:
                continue
            for item in _listed(cluster, f"{root}/{resource['name']}"):
                found.add((resource["kind"], _space_of(item), item["metadata"]["name"]))
    return found


def _space_of(item: dict[str, Any]) -> str:
    """What is in no namespace can be for one."""
    metadata, spec = item["metadata"], item.get("spec") or {}
    release = metadata.get("annotations", {}).get(_OF_RELEASE, "")
    of_what = spec.get("claimRef") or spec.get("parentRef") or {}  # a volume's claim, an address's Service
    return metadata.get("namespace") or release or of_what.get("namespace", "")


def _listed(cluster: Cluster, path: str) -> list[dict[str, Any]]:
    """A kind that was defined a moment ago cannot be listed yet."""
    end = time.monotonic() + 30
    while True:
        try:
            return cluster.request("GET", path).get("items") or []
        except ApiError as refusal:
            if refusal.status not in (404, 429, 503) or time.monotonic() > end:
                raise
            time.sleep(0.5)


def fine(done: Done, what: str) -> Done:
    assert done.fine, f"{what} ended with {done.status}: {done.errors or done.output[-3000:]}"
    return done


def review(preview: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """`slipway review` of a preview's file."""
    command = [sys.executable, "-m", "app.cli", "review", str(preview), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=180)


@dataclass
class Life:
    """A stack on a cluster, and what the cluster had before it."""

    stack: Stack
    cluster: Cluster
    before: set[Thing] = field(default_factory=set)
    alone: bool = True
    """Whether nobody else changes the cluster meanwhile: what is new is the stack's then, wherever it is."""
    made: set[Thing] = field(default_factory=set)
    """What was ever in the stack's state."""

    def __post_init__(self) -> None:
        self.before = self.before or everything(self.cluster)

    @property
    def space(self) -> str:
        """The stack's namespace."""
        return self.stack.config["slipway:namespace"]["name"]

    def new(self) -> set[Thing]:
        """What the stack has put on the cluster, and what came of it."""
        found = everything(self.cluster) - self.before
        if self.alone:
            return found
        own = {*self.made, ("Namespace", "", self.space)}
        return {thing for thing in found if thing[1] == self.space or thing in own}

    def remember(self) -> None:
        """Take down what the stack has made, for when it is gone from its state."""
        for entry in self.stack.resources():
            said = entry.get("outputs") or {}
            if entry["custom"] and "kind" in said:
                metadata = said.get("metadata", {})
                self.made.add((said["kind"], metadata.get("namespace", ""), metadata.get("name", "")))

    def previews_and_is_reviewed(self) -> None:
        done, path = self.stack.preview()
        fine(done, "the preview")
        found = review(path)
        assert found.returncode == 0, found.stdout + found.stderr
        assert not self.new(), "a preview changed the cluster"

    def comes_up(self) -> Done:
        done = fine(self.stack.up(), "the update")
        assert set(done.changes) == {"create"}, done.changes
        self.remember()
        return done

    def stays_as_it_is(self, when: str) -> None:
        done = fine(self.stack.up(), f"an update {when}")
        assert not done.changes, (when, done.changes, sorted(done.steps()))

    def takes(self, overlay: dict[str, Any]) -> Done:
        """Change the configuration: something changes in place, and nothing that holds data is lost."""
        self.stack.change(overlay)
        done = fine(self.stack.up(), "the update of a changed value")
        assert done.changes, "the changed value changed nothing"
        steps = {name: step["op"] for name, step in done.steps().items()}
        assert not [name for name, op in steps.items() if op != "update" and name.partition("/")[0] in WORKLOADS], steps
        return done

    def mends_what_a_hand_changed(self) -> None:
        """kubectl changes a workload; a refresh sees it, an update mends it."""
        workload = next(entry for entry in self.stack.resources() if _is_workload(entry))
        path = self.cluster.path_of(workload["inputs"])
        given = workload["inputs"]["spec"]["template"]["spec"]["containers"][0]["image"]
        container = {
            "name": workload["inputs"]["spec"]["template"]["spec"]["containers"][0]["name"],
            "image": "by.hand/it:1",
        }
        self.cluster.request(
            "PATCH",
            path,
            params={"fieldManager": "kubectl-edit"},
            json={"spec": {"template": {"spec": {"containers": [container]}}}},
            kind="application/strategic-merge-patch+json",
        )
        fine_or_unready = self.stack.refresh()
        assert fine_or_unready.fine or "by.hand" in fine_or_unready.output, fine_or_unready.errors
        seen = next(entry for entry in self.stack.resources() if entry["urn"] == workload["urn"])
        assert seen["inputs"]["spec"]["template"]["spec"]["containers"][0]["image"] == "by.hand/it:1"
        fine(self.stack.up(), "the update that mends")
        live = self.cluster.request("GET", path)
        assert live["spec"]["template"]["spec"]["containers"][0]["image"] == given

    def refuses_to_lose_data(self, overlay: dict[str, Any]) -> None:
        """A preview that would lose data does not pass the review."""
        config = self.stack.config
        self.stack.change(overlay)
        _, path = self.stack.preview()
        found = review(path)
        self.stack.configure(config)
        assert found.returncode in (1, 2), found.stdout + found.stderr

    def recovers_from_an_object_in_the_way(self, namespace: str) -> None:
        """The first update fails half-way on something that somebody else made; without it, the next one succeeds."""
        by_hand = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
        self.cluster.apply(by_hand, "somebody")
        failed = self.stack.up()
        assert not failed.fine
        assert any("already exists" in error for error in failed.errors), failed.errors
        self.cluster.delete(by_hand, "Foreground")
        wait_for(lambda: self.cluster.get("v1", "Namespace", None, namespace) is None, "the end of the namespace")

    def recovers_from_a_killed_update(self) -> None:
        """The engine dies half-way; what it had begun is on the cluster but not in its state."""
        self.stack.up_killed_after(12)
        self.stack.mend_state()
        refused = self.stack.up()
        assert not refused.fine
        assert "locked" in refused.output, refused.output
        self.stack.unlock()
        for thing in self.stack.begun():
            self.cluster.delete(thing, "Foreground")
        fine(self.stack.forget_begun(), "the refresh")
        fine(self.stack.up(), "the update after one that was killed")

    def leaves_nothing(self) -> None:
        """Destroyed, whole. Protected data first refuses, then outlives the stack until a person deletes it too."""
        self.remember()
        if self.stack.config.get("slipway:protect"):
            self._gives_up_its_data()
        else:
            fine(self.stack.destroy(), "the destruction")
        assert not [entry for entry in self.stack.resources() if entry["custom"]]
        wait_for(lambda: not self._left(), "the end of what the stack made", self._left)

    def _gives_up_its_data(self) -> None:
        refused = self.stack.destroy()
        assert not refused.fine
        assert any("protect" in error for error in refused.errors), refused.errors
        held = {thing for thing in self.new() if thing[0] in DATA}
        assert held
        self.stack.unprotect().check()
        fine(self.stack.destroy(), "the destruction of an unprotected stack")
        assert held <= everything(self.cluster), "data went with the stack"
        for space in {namespace or name for kind, namespace, name in held if namespace or kind == "Namespace"}:
            metadata = {"name": space}
            self.cluster.delete({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}, "Foreground")

    def is_cleared_away(self) -> None:
        """After a failure: whatever the stack has left must not be in the way of the next one."""
        if not self.stack.resources():
            return
        self.stack.unprotect()
        self.stack.destroy(timeout=300)
        if ("Namespace", "", self.space) not in self.before:
            self.cluster.delete(
                {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.space}}, "Foreground"
            )

    def _left(self) -> list[Thing]:
        """What is there that was not. cert-manager keeps the account of an issuer that is gone, beside itself."""
        return sorted(thing for thing in self.new() if thing[1] != "cert-manager")


def _is_workload(entry: dict[str, Any]) -> bool:
    # A StatefulSet does not come back by itself from a pod that cannot start: a person deletes the pod.
    return entry["type"] == "kubernetes:apps/v1:Deployment" and not entry.get("delete")


def wait_for(holds: Callable[[], object], what: str, why: Callable[[], object] = str, *, seconds: float = 240) -> None:
    """Poll until something holds."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"{what} did not come within {seconds:.0f} s. {why()}"
        time.sleep(0.2)
