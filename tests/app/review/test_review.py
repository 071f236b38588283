import pytest

from app.review import UnreadablePreview, review
from app.review.parse import Urn

LABEL = "spec.template.metadata.labels.team"


def test_a_changed_storage_size_is_shown_as_a_replacement_and_refused(fixture):
    found = review(fixture("storage-size.json"))
    assert found.blocked
    size = "`spec.volumeClaimTemplates[0].spec.resources.requests.storage`"
    assert f"`StatefulSet/redis-server` would be replaced because of {size}" in found.markdown
    assert f"{size}: `10Gi` → `20Gi` (replaces)" in found.markdown
    assert "**0** added, **0** changed, **1** replaced, **0** deleted, 41 unchanged." in found.markdown


def test_a_storage_size_that_the_plugin_calls_an_update_is_still_a_replacement(step, look):
    old = {"spec": {"volumeClaimTemplates": [{"spec": {"resources": {"requests": {"storage": "10Gi"}}}}]}}
    new = {"spec": {"volumeClaimTemplates": [{"spec": {"resources": {"requests": {"storage": "20Gi"}}}}]}}
    path = "spec.volumeClaimTemplates[0].spec.resources.requests.storage"
    found = look(step("update", "StatefulSet", "redis", old=old, new=new, diff={path: "update"}))
    assert found.blocked
    assert "**1** replaced" in found.markdown


def test_a_difference_without_details_is_found_in_the_inputs(step, look):
    old = {"spec": {"volumeClaimTemplates": [{"size": "10Gi"}], "replicas": 3}}
    new = {"spec": {"volumeClaimTemplates": [{"size": "20Gi"}], "replicas": 3}}
    found = look(step("update", "StatefulSet", "redis", old=old, new=new, diffReasons=["spec"]))
    assert found.blocked
    assert "`spec.volumeClaimTemplates[0].size`: `10Gi` → `20Gi` (replaces)" in found.markdown


def test_more_replicas_of_a_stateful_set_are_only_a_change(step, look):
    found = look(
        step(
            "update",
            "StatefulSet",
            "redis",
            old={"spec": {"replicas": 3}},
            new={"spec": {"replicas": 5}},
            diff={"spec.replicas": "update"},
        )
    )
    assert not found.blocked
    assert "`spec.replicas`: `3` → `5`" in found.markdown


def test_a_quiet_preview_says_so(look):
    found = look(same=41)
    assert not found.blocked
    assert "No changes; 41 objects stay as they are." in found.markdown


def test_added_and_changed_objects_are_folded_away(step, look):
    found = look(
        step("create", "Deployment", "war", new={"spec": {}}),
        step("update", "Deployment", "map", old={}, new={"spec": {}}, diff={"spec": "add"}),
    )
    assert "<details><summary>Added (1)</summary>\n\n- `Deployment/war`" in found.markdown
    assert "<details><summary>Changed (1)</summary>\n\n- `Deployment/map`" in found.markdown
    assert found.markdown.count("</details>") == 2


def test_what_holds_no_data_may_be_replaced_and_deleted(step, look):
    found = look(
        step("replace", "ConfigMap", "war", old={}, new={}, diff={"data": "update-replace"}),
        step("delete", "Deployment", "war", old={}),
    )
    assert not found.blocked
    assert "- `ConfigMap/war`: because of `data`" in found.markdown
    assert "### Deleted (1)\n\n- `Deployment/war`" in found.markdown


@pytest.mark.parametrize(
    "kind", ["StatefulSet", "PersistentVolumeClaim", "PersistentVolume", "Namespace", "CustomResourceDefinition"]
)
@pytest.mark.parametrize("op", ["delete", "replace", "create-replacement", "delete-replaced"])
def test_what_holds_data_is_not_lost_without_an_allowance(step, look, kind, op):
    found = look(step(op, kind, "data", old={}))
    assert found.blocked
    assert f"`{kind}/data` would be {'deleted' if op == 'delete' else 'replaced'}" in found.markdown


@pytest.mark.parametrize("kind", ["Secret", "RandomPassword"])
def test_the_credentials_of_a_store_are_not_lost_without_an_allowance(step, look, kind):
    inside = look(step("delete", kind, "auth", old={}, parent="slipway:platform:Platform$slipway:redis:Redis"))
    outside = look(step("delete", kind, "auth", old={}, parent="slipway:platform:Platform$slipway:app:AppSecrets"))
    assert (inside.blocked, outside.blocked) == (True, False)


@pytest.mark.parametrize("marked", ["protect", "retain"])
def test_whatever_is_protected_or_retained_is_not_lost_without_an_allowance(step, look, marked):
    assert look(step("delete", "Deployment", "war", old={}, **{marked: True})).blocked
    assert not look(step("update", "Deployment", "war", old={}, new={}, **{marked: True})).blocked


@pytest.mark.parametrize(
    "allowance",
    ["redis-server", "StatefulSet/redis-server"],
)
def test_an_allowance_names_the_object(fixture, allowance):
    found = review(fixture("storage-size.json"), allow=[allowance])
    assert not found.blocked
    assert "### Data would be lost, and that is allowed" in found.markdown


def test_an_allowance_may_be_a_urn(step, look):
    lost = step("delete", "Namespace", "slipway", old={})
    assert not look(lost, allow=[lost["urn"]]).blocked


def test_an_allowance_for_something_else_helps_nothing_and_is_mentioned(fixture):
    found = review(fixture("storage-size.json"), allow=["redis", "StatefulSet/redis"])
    assert found.blocked
    assert "Allowed, but not needed: `redis`, `StatefulSet/redis`." in found.markdown


@pytest.mark.parametrize("value", ["a, redis", '["a", "redis"]'])
def test_the_stacks_own_configuration_may_allow(step, look, value):
    lost = step("delete", "StatefulSet", "redis", old={})
    found = look(lost, config={"review:allow": value})
    assert not found.blocked
    assert "not needed: `a`" in found.markdown


def test_a_replacement_without_properties_follows_from_another(step, look):
    found = look(step("replace", "Deployment", "war", old={}, new={}))
    assert "- `Deployment/war`: with an object that it depends on" in found.markdown


def test_the_engines_reasons_stand_in_for_missing_details(step, look):
    found = look(step("replace", "Deployment", "war", old={}, new={}, replaceReasons=["spec.selector"]))
    assert "- `Deployment/war`: because of `spec.selector`" in found.markdown


def test_a_failed_preview_is_incomplete_and_keeps_its_message_to_itself(step, look):
    error = {
        "urn": step("create", "Deployment", "war")["urn"],
        "severity": "error",
        "message": "password hunter2 wrong",
    }
    found = look(diagnostics=[error, {"severity": "warning", "message": "old"}])
    assert found.failed
    assert "**The preview failed** at `war`" in found.markdown
    assert "hunter2" not in found.markdown


def test_unknown_values_are_shown_as_such(step, look):
    unknown = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
    found = look(
        step("update", "Deployment", "war", old={"image": "a"}, new={"image": unknown}, diff={"image": "update"})
    )
    assert "`image`: `a` → `(not yet known)`" in found.markdown


def test_a_long_list_is_cut_so_that_the_comment_fits(step, look):
    names = [f"server-{number:04}" for number in range(1000)]
    deleted = [step("delete", "Deployment", name, old={}) for name in names]
    changed = [
        step("update", "Deployment", name, old={}, new={}, diff={f"spec.{key}": "add" for key in range(50)})
        for name in (f"changed-{name}" for name in names)
    ]
    found = look(*deleted, *changed)
    assert len(found.markdown) < 65_536
    assert "… and 940 more" in found.markdown
    assert "… and 42 more properties" in found.markdown


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "the file is empty"),
        (b"  \n", "the file is empty"),
        (b"error: no stack selected", "it is not JSON"),
        (b'{"steps": []}\nResources: 3 unchanged', "something follows the JSON"),
        (b'{"sequence":0,"timestamp":1}\n{"sequence":1}\n', "it is a stream of events"),
        (b'{"resources": []}', "it is JSON, but no preview"),
        (b"[]", "it is JSON, but no preview"),
        (b'{"steps": [{"op": 3, "urn": "x"}]}', r"Expected `str`, got `int` - at `\$\.steps\[0\]\.op`"),
        (b'{"steps": {}}', "it does not look like a preview"),
    ],
)
def test_what_is_not_a_preview_is_refused_with_what_it_is(text, message):
    with pytest.raises(UnreadablePreview, match=message):
        review(text)


def test_a_name_may_hold_what_separates_the_parts_of_a_urn():
    urn = Urn("urn:pulumi:dev::slipway::slipway:redis:Redis$kubernetes:core/v1:Secret::a::b$c")
    assert (urn.stack, urn.parents, urn.kind, urn.name) == ("dev", "slipway:redis:Redis", "Secret", "a::b$c")
