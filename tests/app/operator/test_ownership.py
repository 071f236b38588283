"""Which part of an object is ours, by what the API server recorded."""

from app.operator.ownership import digest, ours, substance


def body(fields, manager="slipway-operator", operation="Apply", **more):
    entry = {"manager": manager, "operation": operation, "fieldsV1": fields, **more}
    return {
        "metadata": {"name": "hello", "labels": {"ours": "1", "theirs": "2"}, "managedFields": [entry]},
        "spec": {
            "replicas": 3,
            "selector": {"a": "b"},
            "finalizers": ["x", "y"],
            "ports": [{"name": "http", "port": 80}, {"name": "more", "port": 81}],
        },
    }


def test_fields_items_and_values_that_are_named_are_ours_and_no_others():
    fields = {
        "f:metadata": {"f:labels": {"f:ours": {}}},
        "f:spec": {
            "f:selector": {},
            "f:finalizers": {'v:"y"': {}},
            "f:ports": {'k:{"name":"http"}': {".": {}, "f:name": {}, "f:port": {}}},
        },
    }
    assert ours(body(fields)) == {
        "metadata": {"labels": {"ours": "1"}},
        "spec": {"selector": {"a": "b"}, "finalizers": ["y"], "ports": [{"name": "http", "port": 80}]},
    }


def test_what_others_applied_and_what_we_merely_changed_is_not_ours():
    fields = {"f:spec": {"f:replicas": {}}}
    assert ours(body(fields, manager="kubectl")) == {}
    assert ours(body(fields, operation="Update")) == {}
    assert ours(body(fields, subresource="status")) == {}


def test_a_manifest_is_compared_without_its_identity():
    manifest = {
        "apiVersion": "v1",
        "kind": "Thing",
        "metadata": {"name": "n", "namespace": "s", "labels": {}},
        "spec": {},
    }
    assert substance(manifest) == {"metadata": {"labels": {}}, "spec": {}}


def test_the_order_of_fields_is_no_difference():
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    assert digest({"a": [1, 2]}) != digest({"a": [2, 1]})
