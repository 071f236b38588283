"""A stand-in for the `kubernetes` plugin: the provider protocol over a real API server."""

import os
import re
import time
from typing import Any

import grpc
from engine.plugins import wire
from engine.plugins.base import StandIn, abort_half_made, failures
from engine.plugins.kube import changes, kinds, naming, readiness, releases
from engine.plugins.kube.client import ApiError, Cluster, UnknownKind
from engine.plugins.kube.ownership import MANAGER, take_over
from engine.plugins.wire import Properties
from google.protobuf import empty_pb2
from pulumi.runtime.proto import provider_pb2

POLL_SECONDS = 0.25
# Officially ten minutes. Tests that wait for a failure cannot.
PATIENCE_SECONDS = float(os.environ.get("SLIPWAY_STAND_IN_WAIT_SECONDS", "600"))
# An update that is to fail need not take all of that, once this is said and its other objects had time to be begun.
HOPELESS = os.environ.get("SLIPWAY_STAND_IN_HOPELESS")
HOPELESS_SECONDS = 12
# With no kubelet nothing becomes ready: only what the API server says is then asked for.
WAITS = os.environ.get("SLIPWAY_STAND_IN_WAIT", "on") != "off"
# What the API server alone decides, and what no diff may see.
UNSTABLE = ("managedFields",)
CREATE_ATTEMPTS = 12


class KubernetesStandIn(StandIn):
    """Objects by server-side apply, as the official plugin does it."""

    name = "kubernetes"

    def __init__(self, engine: str | None) -> None:
        super().__init__(engine)
        self.cluster = Cluster()

    def Configure(self, request: Any, context: Any) -> Any:  # noqa: N802 - the protocol's names, here and below
        answer = super().Configure(request, context)
        self.cluster = Cluster(self.config.get("kubeconfig"), self.config.get("context"))
        note = "" if WAITS else ", which waits for nothing to become ready"
        self.say(f"kubernetes is a stand-in of the tests, not the official plugin{note}")
        return answer

    def Check(self, request: Any, context: Any) -> Any:  # noqa: N802
        token = _token(request.urn)
        news, olds = wire.decode(request.news), wire.decode(request.olds)
        if releases.is_release(token):
            return provider_pb2.CheckResponse(inputs=request.news)
        why = kinds.refusal(token)
        if why:
            return provider_pb2.CheckResponse(failures=failures(("", why)))
        naming.name(news.plain, olds.plain, _name(request.urn), request.randomSeed)
        naming.place(self.cluster, news.plain, self.config.get("namespace") or "default")
        naming.fold_secret(news)
        if news.plain.get("kind") == "CustomResourceDefinition":
            news.plain = naming.spell(news.plain)
        return provider_pb2.CheckResponse(inputs=_encoded(news.plain, news.secrets))

    def Diff(self, request: Any, context: Any) -> Any:  # noqa: N802
        old, new = wire.decode(request.old_inputs), wire.decode(request.news)
        refused: set[str] = set()
        if old.plain != new.plain and new.complete and not releases.is_release(_token(request.urn)):
            refused = self._refused(new.plain)
        return changes.answer(old.plain, new.plain, list(request.ignoreChanges), refused)

    def _refused(self, thing: dict[str, Any]) -> set[str]:
        """Fields that the API server says are immutable: a dry run tells more than any table."""
        try:
            self.cluster.apply(thing, MANAGER, dry_run=True, force=True)
        except UnknownKind:
            return set()
        except ApiError as refusal:
            immutable = re.compile("immutable|updates to .* are forbidden|forbidden after creation|may not be changed")
            # Only some fields of a StatefulSet's spec may change, and its refusal names none of them: the table knows.
            return {
                cause["field"]
                for cause in refusal.causes
                if cause.get("field") not in (None, "spec") and immutable.search(str(cause.get("message")))
            }
        return set()

    def Create(self, request: Any, context: Any) -> Any:  # noqa: N802
        inputs = wire.decode(request.properties)
        if releases.is_release(_token(request.urn)):
            return releases.create(self, request, context, inputs)
        if request.preview and not inputs.complete:
            return provider_pb2.CreateResponse(properties=request.properties)
        thing = inputs.plain
        try:
            if self._find(thing) is not None:
                context.abort(grpc.StatusCode.ALREADY_EXISTS, f"{_shown(thing)} already exists: import it")
            if request.preview:
                made = self.cluster.apply(thing, MANAGER, dry_run=True)
                return provider_pb2.CreateResponse(properties=self._preview(made, inputs))
            made = self._create(thing)
        except UnknownKind as problem:
            return self._unmade(request, context, str(problem))
        except ApiError as refusal:
            # The namespace may come in the same update.
            if refusal.status == 404:
                return self._unmade(request, context, str(refusal))
            context.abort(grpc.StatusCode.UNKNOWN, f"{_shown(thing)}: {refusal}")
        made = self._wait(context, made, inputs, request.timeout)
        return provider_pb2.CreateResponse(id=_identity(made), properties=_state(made, inputs))

    def _unmade(self, request: Any, context: Any, problem: str) -> Any:
        if not request.preview:
            context.abort(grpc.StatusCode.UNKNOWN, problem)
        return provider_pb2.CreateResponse(properties=request.properties)

    def _find(self, thing: dict[str, Any]) -> dict[str, Any] | None:
        metadata = thing["metadata"]
        return self.cluster.get(thing["apiVersion"], thing["kind"], metadata.get("namespace"), metadata["name"])

    def _create(self, thing: dict[str, Any]) -> dict[str, Any]:
        """A definition, a webhook or a namespace made a moment ago may need another one to be in force."""
        for attempt in range(CREATE_ATTEMPTS):
            try:
                return self.cluster.apply(thing, MANAGER)
            except (UnknownKind, ApiError) as problem:
                passing = not isinstance(problem, ApiError) or problem.status in (404, 500, 503)
                if not passing or attempt == CREATE_ATTEMPTS - 1:
                    raise
                time.sleep(POLL_SECONDS * (attempt + 1))
        raise AssertionError("the last attempt raises")

    def _wait(self, context: Any, made: dict[str, Any], inputs: Properties, timeout: float) -> dict[str, Any]:
        """Until it is ready. From here on every failure leaves a recorded object."""
        if not WAITS or kinds.skips_waiting(made):
            return made
        began = time.monotonic()
        end = began + (timeout or PATIENCE_SECONDS)
        reasons: list[str] = []
        while context.is_active():
            try:
                lacks = readiness.missing(self.cluster, made)
                if lacks is None:
                    return made
                reasons = [f"{_shown(made)} did not become ready: {lacks}"]
                hopeless = bool(HOPELESS) and HOPELESS in lacks
                if time.monotonic() > (min(end, began + HOPELESS_SECONDS) if hopeless else end):
                    break
                time.sleep(POLL_SECONDS)
                found = self._find(made)
                if found is None:
                    reasons = [f"{_shown(made)} was deleted while it was waited for"]
                    break
                made = found
            except readiness.NeverReady as problem:
                reasons = [f"{_shown(made)} will not become ready: {problem}"]
                break
            except ApiError as refusal:
                reasons = [f"{_shown(made)} could not be watched: {refusal}"]
                # An API server that is away for a moment comes back.
                if refusal.status < 500 or time.monotonic() > end:
                    break
                time.sleep(POLL_SECONDS)
        state, given = _state(made, inputs), _encoded(inputs.plain, inputs.secrets)
        return abort_half_made(context, identity=_identity(made), state=state, inputs=given, reasons=reasons)

    def Read(self, request: Any, context: Any) -> Any:  # noqa: N802
        if releases.is_release(_token(request.urn)):
            return provider_pb2.ReadResponse(id=request.id, properties=request.properties, inputs=request.inputs)
        inputs = wire.decode(request.inputs)
        token = _token(request.urn)
        namespace, _, name = request.id.rpartition("/")
        try:
            live = self.cluster.get(kinds.api_version(token), token.split(":")[2], namespace, name)
        except UnknownKind:
            live = None
        except ApiError as refusal:
            context.abort(grpc.StatusCode.UNKNOWN, str(refusal))
        if live is None:
            return provider_pb2.ReadResponse()
        inputs.plain = self._seen(inputs.plain, live)
        state, given = _state(live, inputs), _encoded(inputs.plain, inputs.secrets)
        if WAITS and not kinds.skips_waiting(live):
            try:
                lacks = readiness.missing(self.cluster, live)
            except readiness.NeverReady as problem:
                lacks = str(problem)
            if lacks:
                abort_half_made(
                    context, identity=request.id, state=state, inputs=given, reasons=[f"{_shown(live)}: {lacks}"]
                )
        return provider_pb2.ReadResponse(id=request.id, properties=state, inputs=given)

    def _seen(self, inputs: dict[str, Any], live: dict[str, Any]) -> dict[str, Any]:
        """The inputs as the cluster has them; of an object that is imported, everything that a person may set."""
        if not inputs:
            return naming.importable(live)
        try:
            wanted = self.cluster.apply(inputs, MANAGER, dry_run=True, force=True)
        except (ApiError, UnknownKind):
            wanted = inputs
        return changes.drifted(inputs, wanted, live)

    def Update(self, request: Any, context: Any) -> Any:  # noqa: N802
        inputs = wire.decode(request.news)
        if releases.is_release(_token(request.urn)) or (request.preview and not inputs.complete):
            return provider_pb2.UpdateResponse(properties=request.news)
        thing = inputs.plain
        try:
            live = self._find(thing)
            if request.preview:
                # What kubectl wrote is taken over by an update, not by its preview.
                made = self.cluster.apply(thing, MANAGER, dry_run=True, force=_by_kubectl(live))
                return provider_pb2.UpdateResponse(properties=self._preview(made, inputs))
            if live is not None:
                take_over(self.cluster, live)
            force = at_annotation(thing, "pulumi.com/patchForce") == "true"
            made = self.cluster.apply(thing, MANAGER, force=force)
        except UnknownKind as problem:
            context.abort(grpc.StatusCode.UNKNOWN, str(problem))
        except ApiError as refusal:
            context.abort(grpc.StatusCode.UNKNOWN, f"{_shown(thing)}: {refusal}")
        made = self._wait(context, made, inputs, request.timeout)
        return provider_pb2.UpdateResponse(properties=_state(made, inputs))

    def Delete(self, request: Any, context: Any) -> Any:  # noqa: N802
        state = wire.decode(request.properties).plain
        if releases.is_release(_token(request.urn)):
            return empty_pb2.Empty()
        propagation = at_annotation(state, "pulumi.com/deletionPropagationPolicy") or "foreground"
        try:
            deleted = self.cluster.delete(state, propagation.capitalize())
        except UnknownKind:
            return empty_pb2.Empty()
        except ApiError as refusal:
            context.abort(grpc.StatusCode.UNKNOWN, f"{_shown(state)}: {refusal}")
        end = time.monotonic() + (request.timeout or PATIENCE_SECONDS)
        uid = (state.get("metadata") or {}).get("uid")
        while deleted and not kinds.skips_waiting(state) and context.is_active():
            found = self._find(state)
            if found is None or (uid and found["metadata"]["uid"] != uid):
                break
            if time.monotonic() > end:
                kept = ", ".join(found["metadata"].get("finalizers") or ()) or "nothing that it says"
                context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, f"{_shown(state)} is still there, kept by {kept}")
            time.sleep(POLL_SECONDS)
        return empty_pb2.Empty()

    def _preview(self, made: dict[str, Any], inputs: Properties) -> Any:
        """Of a dry run, what the update will make too: no state, and no identity that changes each time."""
        known = {key: value for key, value in made.items() if key != "status"}
        made_up = ("uid", "resourceVersion", "creationTimestamp", "generation", *UNSTABLE)
        known["metadata"] = {key: value for key, value in made["metadata"].items() if key not in made_up}
        return _encoded(known, inputs.secrets)


def at_annotation(thing: dict[str, Any], name: str) -> str | None:
    found = wire.at(thing, ("metadata", "annotations", name))
    return found if isinstance(found, str) else None


def _by_kubectl(live: dict[str, Any] | None) -> bool:
    entries = ((live or {}).get("metadata") or {}).get("managedFields") or []
    return any(entry["manager"].startswith("kubectl") for entry in entries)


def _encoded(plain: dict[str, Any], secrets: set[wire.Path]) -> Any:
    """Whatever else was secret, the values of a Secret are."""
    always: set[wire.Path] = {("data",), ("stringData",)} if plain.get("kind") == "Secret" else set()
    return wire.encode(plain, {path for path in secrets if not any(path[:1] == row for row in always)} | always)


def _state(made: dict[str, Any], inputs: Properties) -> Any:
    metadata = {key: value for key, value in made["metadata"].items() if key not in UNSTABLE}
    return _encoded({**made, "metadata": metadata}, inputs.secrets)


def _identity(made: dict[str, Any]) -> str:
    namespace = made["metadata"].get("namespace")
    return f"{namespace}/{made['metadata']['name']}" if namespace else str(made["metadata"]["name"])


def _shown(thing: dict[str, Any]) -> str:
    return f"{thing.get('kind')} {_identity(thing)}"


def _token(urn: str) -> str:
    return urn.split("::")[2].rpartition("$")[2]


def _name(urn: str) -> str:
    return urn.split("::", 3)[3]
