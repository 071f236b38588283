"""The stand-in for the kubernetes plugin on a real API server: where others' stand-ins, and plain apply, go wrong."""

import uuid

import grpc
import pytest
from engine.plugins import wire
from engine.plugins.kube import provider as provider_module
from engine.plugins.kube.client import JSON_PATCH, ApiError
from engine.plugins.kube.ownership import take_over
from engine.plugins.random_values import RandomStandIn
from engine.plugins.wire import UNKNOWN
from google.protobuf import any_pb2
from pulumi.runtime.proto import provider_pb2, status_pb2

pytestmark = pytest.mark.cluster

Diff = provider_pb2.DiffResponse


class Aborted(Exception):
    def __init__(self, code, message, metadata):
        super().__init__(message)
        self.code = code
        self.metadata = metadata


class Context:
    """What gRPC gives a method."""

    def __init__(self):
        self.metadata = ()

    def set_trailing_metadata(self, metadata):
        self.metadata = metadata

    def abort(self, code, message):
        raise Aborted(code, message, self.metadata)

    def is_active(self):
        return True


class Driver:
    """The engine's side of the protocol, for one object."""

    def __init__(self, provider, inputs, token):
        self.provider = provider
        self.urn = f"urn:pulumi:test::slipway::{token}::thing"
        self.inputs = self.check(inputs)
        self.id = ""

    def check(self, news, olds=None):
        request = provider_pb2.CheckRequest(
            urn=self.urn, news=wire.encode(news), olds=wire.encode(olds or {}), randomSeed=b"seed"
        )
        answer = self.provider.Check(request, Context())
        if answer.failures:
            raise ValueError(answer.failures[0].reason)
        return wire.decode(answer.inputs).plain

    def create(self, *, preview=False):
        request = provider_pb2.CreateRequest(urn=self.urn, properties=wire.encode(self.inputs), preview=preview)
        answer = self.provider.Create(request, Context())
        self.id = self.id or answer.id
        return wire.decode(answer.properties)

    def diff(self, news):
        checked = self.check(news, self.inputs)
        request = provider_pb2.DiffRequest(
            id=self.id, urn=self.urn, old_inputs=wire.encode(self.inputs), news=wire.encode(checked)
        )
        return self.provider.Diff(request, Context())

    def update(self, news):
        self.inputs = self.check(news, self.inputs)
        request = provider_pb2.UpdateRequest(id=self.id, urn=self.urn, news=wire.encode(self.inputs))
        return wire.decode(self.provider.Update(request, Context()).properties).plain

    def read(self):
        request = provider_pb2.ReadRequest(id=self.id, urn=self.urn, inputs=wire.encode(self.inputs))
        return self.provider.Read(request, Context())


@pytest.fixture
def space(cluster):
    name = f"test-{uuid.uuid4().hex[:8]}"
    made = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    cluster.apply(made, "tests")
    yield name
    cluster.delete(made, "Background")


@pytest.fixture
def provider(cluster, monkeypatch):
    monkeypatch.setattr(provider_module, "WAITS", False)
    found = provider_module.KubernetesStandIn(None)
    found.cluster = cluster
    return found


@pytest.fixture
def drive(provider, space):
    """An object in a namespace of the test's own."""

    def make(api_version, kind, *, metadata=None, **body):
        group = api_version if "/" in api_version else f"core/{api_version}"
        thing = {"apiVersion": api_version, "kind": kind, "metadata": {"namespace": space, **(metadata or {})}, **body}
        return thing, Driver(provider, thing, f"kubernetes:{group}:{kind}")

    return make


def container(**more):
    return {"name": "main", "image": "example.test/it:1", **more}


def deployment(**more):
    labels = {"app": "it"}
    pod = {"metadata": {"labels": labels}, "spec": {"containers": [container(**more)]}}
    return {"selector": {"matchLabels": labels}, "template": pod}


@pytest.mark.parametrize(
    ("kind", "before", "after"),
    [
        ("ConfigMap", {"data": {"a": "1"}}, {"data": {"a": "2"}}),
        ("Secret", {"stringData": {"a": "1"}}, {"stringData": {"a": "2"}}),
        ("Secret", {"type": "Opaque", "data": {}}, {"type": "example.test/other", "data": {}}),
    ],
)
def test_a_changed_value_of_a_config_map_or_secret_makes_a_new_one(drive, kind, before, after):
    thing, driver = drive("v1", kind, **before)
    driver.create()

    found = driver.diff({**thing, **after})

    assert found.replaces
    # Its name is generated, so that the new one can be there before the old one goes.
    assert driver.inputs["metadata"]["name"].startswith("thing-")
    assert not found.deleteBeforeReplace


def test_a_config_map_whose_data_is_not_known_yet_counts_as_a_new_one(drive):
    thing, driver = drive("v1", "ConfigMap", data={"a": "1"})
    assert driver.diff({**thing, "data": UNKNOWN}).replaces
    assert driver.diff({**thing, "data": {"a": UNKNOWN}}).replaces


def test_a_changed_label_of_a_config_map_is_no_replacement(drive):
    thing, driver = drive("v1", "ConfigMap", data={"a": "1"})
    metadata = {**thing["metadata"], "labels": {"new": "label"}}
    found = driver.diff({**thing, "metadata": metadata})
    assert found.changes == Diff.DIFF_SOME
    assert not found.replaces


def test_a_new_object_of_the_same_given_name_needs_the_old_one_gone_first(drive):
    thing, driver = drive("v1", "ConfigMap", metadata={"name": "fixed"}, data={"a": "1"})
    assert driver.diff({**thing, "data": {"a": "2"}}).deleteBeforeReplace


def test_the_generated_name_stays_from_update_to_update(drive):
    thing, driver = drive("v1", "ConfigMap", data={"a": "1"})
    again = driver.check(thing, driver.inputs)
    assert again["metadata"]["name"] == driver.inputs["metadata"]["name"]


def test_a_field_that_the_api_server_will_not_change_makes_a_new_object(drive):
    binding = {"provisioner": "example.test/none", "reclaimPolicy": "Delete"}
    name = f"class-{uuid.uuid4().hex[:8]}"
    thing, driver = drive("storage.k8s.io/v1", "StorageClass", metadata={"name": name}, **binding)
    driver.create()

    # Not in the table of replacements: a dry run says so.
    found = driver.diff({**thing, "reclaimPolicy": "Retain"})

    assert list(found.replaces) == ["reclaimPolicy"]
    driver.provider.cluster.delete(driver.inputs, "Background")


def test_the_claims_of_a_stateful_set_cannot_be_changed_in_place(drive):
    def body(size):
        spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}}
        return {
            **deployment(),
            "serviceName": "it",
            "volumeClaimTemplates": [{"metadata": {"name": "d"}, "spec": spec}],
        }

    thing, driver = drive("apps/v1", "StatefulSet", metadata={"name": "it"}, spec=body("1Gi"))
    driver.create()
    found = driver.diff({**thing, "spec": body("2Gi")})
    assert found.replaces[0].startswith("spec.volumeClaimTemplates")
    scaled = {**thing, "spec": {**body("1Gi"), "replicas": 3}}
    assert not driver.diff(scaled).replaces


def by_hand(driver, value, manager="kubectl-edit"):
    driver.provider.cluster.request(
        "PATCH",
        driver.provider.cluster.path_of(driver.inputs),
        params={"fieldManager": manager},
        json=[{"op": "replace", "path": "/spec/replicas", "value": value}],
        kind=JSON_PATCH,
    )


def test_what_kubectl_changed_is_seen_and_taken_back(drive):
    thing, driver = drive("apps/v1", "Deployment", metadata={"name": "it"}, spec={**deployment(), "replicas": 1})
    driver.create()
    by_hand(driver, 5)

    driver.inputs = wire.decode(driver.read().inputs).plain
    assert driver.inputs["spec"]["replicas"] == 5
    assert "spec.replicas" in driver.diff(thing).detailedDiff
    assert driver.update(thing)["spec"]["replicas"] == 1


def test_what_kubectl_changed_is_taken_back_though_a_controller_writes_in_the_same_moment(drive, cluster):
    thing, driver = drive("apps/v1", "Deployment", metadata={"name": "it"}, spec={**deployment(), "replicas": 1})
    driver.create()
    by_hand(driver, 5)
    seen = cluster.request("GET", cluster.path_of(driver.inputs))
    by_hand(driver, 6)

    take_over(cluster, seen)

    assert driver.update(thing)["spec"]["replicas"] == 1


def test_what_another_program_owns_is_not_taken_from_it(drive):
    thing, driver = drive("apps/v1", "Deployment", metadata={"name": "it"}, spec={**deployment(), "replicas": 1})
    driver.create()
    by_hand(driver, 5, manager="some-autoscaler")

    with pytest.raises(Aborted, match="some-autoscaler"):
        driver.update({**thing, "spec": {**thing["spec"], "replicas": 2}})

    forced = {**thing, "metadata": {**thing["metadata"], "annotations": {"pulumi.com/patchForce": "true"}}}
    assert driver.update(forced)["spec"]["replicas"] == 1


def test_another_spelling_of_a_quantity_is_no_drift(drive):
    resources = {"requests": {"cpu": "0.05", "memory": "1024Mi"}, "limits": {"cpu": "0.5"}}
    _, driver = drive("apps/v1", "Deployment", metadata={"name": "it"}, spec=deployment(resources=resources))
    driver.create()
    assert wire.decode(driver.read().inputs).plain == driver.inputs


def test_a_secret_given_as_text_is_no_drift_and_stays_secret(drive):
    _, driver = drive("v1", "Secret", stringData={"password": "hunter2"})
    created = driver.create()
    found = driver.read()
    assert wire.decode(found.inputs).plain == driver.inputs
    for properties in (created, wire.decode(found.properties), wire.decode(found.inputs)):
        assert properties.is_secret(("data", "password"))
    assert "stringData" not in driver.inputs


def test_an_object_that_is_gone_is_read_as_nothing(drive):
    _, driver = drive("v1", "ConfigMap", data={"a": "1"})
    driver.create()
    driver.provider.cluster.delete(driver.inputs, "Background")
    assert driver.read().id == ""


@pytest.mark.parametrize("preview", [True, False])
def test_an_object_that_is_there_already_is_not_created_over(drive, preview):
    _, driver = drive("v1", "ConfigMap", metadata={"name": "taken"}, data={"a": "1"})
    driver.provider.cluster.apply(driver.inputs, "somebody-else")
    with pytest.raises(Aborted, match="already exists") as refused:
        driver.create(preview=preview)
    assert refused.value.code is grpc.StatusCode.ALREADY_EXISTS


def test_an_object_that_does_not_become_ready_is_recorded_all_the_same(drive, monkeypatch):
    monkeypatch.setattr(provider_module, "WAITS", True)
    monkeypatch.setattr(provider_module, "PATIENCE_SECONDS", 0.1)
    _, driver = drive("apps/v1", "Deployment", metadata={"name": "it"}, spec=deployment())

    with pytest.raises(Aborted, match="did not become ready") as failed:
        driver.create()

    status = status_pb2.Status.FromString(dict(failed.value.metadata)["grpc-status-details-bin"])
    half_made = provider_pb2.ErrorResourceInitFailed()
    detail: any_pb2.Any = status.details[0]
    assert detail.Unpack(half_made)
    assert half_made.id == driver.inputs["metadata"]["namespace"] + "/it"
    assert wire.decode(half_made.properties).plain["metadata"]["uid"]


def test_a_preview_makes_nothing_but_asks_the_api_server(drive, cluster):
    _, driver = drive("apps/v1", "Deployment", metadata={"name": "it"}, spec=deployment())
    seen = driver.create(preview=True).plain
    assert seen["spec"]["strategy"]["type"] == "RollingUpdate"
    assert "uid" not in seen["metadata"]
    assert cluster.get("apps/v1", "Deployment", driver.inputs["metadata"]["namespace"], "it") is None


def test_a_misspelt_field_fails_the_preview(drive):
    _, driver = drive("apps/v1", "Deployment", metadata={"name": "it"}, spec=deployment(imagePolicy="Always"))
    with pytest.raises(Aborted, match="imagePolicy"):
        driver.create(preview=True)


def test_what_depends_on_unknown_values_is_previewed_without_the_api_server(drive):
    _, driver = drive("v1", "ConfigMap", data={"a": UNKNOWN})
    assert driver.create(preview=True).plain["data"]["a"] is UNKNOWN


@pytest.mark.parametrize(
    "token", ["kubernetes:helm.sh/v3:Chart", "kubernetes:core/v1:ServicePatch", "kubernetes:yaml/v2:ConfigFile"]
)
def test_what_the_stand_in_cannot_do_is_refused_at_once(provider, token):
    with pytest.raises(ValueError, match="does not"):
        Driver(provider, {}, token)


def test_a_definition_is_written_as_the_api_server_spells_it(drive):
    schema = {"type": "object", "x_kubernetes_preserve_unknown_fields": True}
    _, driver = drive("apiextensions.k8s.io/v1", "CustomResourceDefinition", spec={"schema": schema})
    assert driver.inputs["spec"]["schema"] == {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


def test_deletion_waits_until_the_object_is_gone(drive, cluster):
    _, driver = drive("apps/v1", "Deployment", metadata={"name": "it"}, spec=deployment())
    made = driver.create()
    request = provider_pb2.DeleteRequest(id=driver.id, urn=driver.urn, properties=wire.encode(made.plain))
    driver.provider.Delete(request, Context())
    namespace = driver.inputs["metadata"]["namespace"]
    assert cluster.get("apps/v1", "Deployment", namespace, "it") is None
    assert not cluster.select("apps/v1", "ReplicaSet", namespace)
    driver.provider.Delete(request, Context())


def test_a_refusal_names_the_object_and_the_reason(drive):
    _, driver = drive("v1", "Service", metadata={"name": "it"}, spec={"ports": [{"port": 99999}]})
    with pytest.raises(Aborted, match=r"Service test-\w+/it: .*99999"):
        driver.create()


def test_random_values_are_secret_and_unknown_before_the_update():
    provider = RandomStandIn(None)
    token = "random:index/randomPassword:RandomPassword"

    def made(*, preview):
        request = provider_pb2.CreateRequest(type=token, properties=wire.encode({"length": 24}), preview=preview)
        return wire.decode(provider.Create(request, Context()).properties)

    assert made(preview=True).plain["result"] is UNKNOWN
    assert made(preview=True).is_secret(("result",))
    assert len(made(preview=False).plain["result"]) == 24
    assert made(preview=False).plain["result"] != made(preview=False).plain["result"]


def test_the_api_server_says_what_is_wrong(cluster):
    with pytest.raises(ApiError, match="not found"):
        cluster.request("GET", "/api/v1/namespaces/none-such")
