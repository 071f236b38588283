"""MongoDB: members, users with no more rights than they need, and scripts that run once."""

import pytest
from pymongo.uri_parser import parse_uri

from infra.components.mongodb import MongoAdmin, Mongodb, MongodbArgs, ReplicaSet
from infra.edges import Pods
from infra.storage import Backup, Storage

POD = "spec.template.spec"
CONTAINER = f"{POD}.containers.0"
SET = ReplicaSet(members=3, name="rs0")


def variables(resource, container: str = CONTAINER) -> dict:
    return {each["name"]: each.get("value", each.get("valueFrom")) for each in resource.at(f"{container}.env")}


@pytest.fixture
def mongodb(run):
    def made(**given):
        return run(lambda: Mongodb("docs", MongodbArgs(namespace="shop", **given)))

    return made


def uri(stack) -> dict:
    return parse_uri(stack.one("Secret", "docs-uri").at("stringData.MONGODB_URI"))


def test_a_single_member_keeps_ten_gibibytes_behind_one_service(mongodb):
    stack = mongodb()
    workload = stack.one("StatefulSet")
    assert workload.object_name == "docs"
    assert workload.at("spec.replicas") == 1
    assert workload.at("spec.volumeClaimTemplates.0.spec.resources.requests.storage") == "10Gi"
    assert workload.at("spec.serviceName") == stack.one("Service").object_name == "docs"
    assert uri(stack)["nodelist"] == [("docs.shop.svc.cluster.local", 27017)]
    assert not stack.all("Job")


def test_authentication_is_on_for_one_and_for_a_set(repository):
    start = (repository / "infra/components/files/mongodb/start.sh").read_text("utf-8")
    assert '--bind_ip_all --auth"' in start


def test_the_app_gets_a_user_of_its_own_database_and_never_the_root(mongodb):
    found = uri(mongodb(database="tools", username="tooler", password="p@ss/w:rd?"))
    assert (found["username"], found["password"], found["database"]) == ("tooler", "p@ss/w:rd?", "tools")
    assert found["options"]["authSource"] == "tools"


def test_every_password_is_generated_and_stays_in_secrets(mongodb):
    stack = mongodb(replica_set=SET, admin=MongoAdmin(), backup=Backup())
    holders = {each.kind for each in stack.registered if "generated-for" in str(each.inputs)}
    assert holders == {"Secret"}
    for secret in stack.all("Secret"):
        for value in secret.at("stringData").values():
            assert type(value).__name__ == "Secret"
    assert "generated-for" not in str(stack.outputs(stack.one("Mongodb")))


def test_a_copy_is_made_by_a_user_who_can_only_copy(mongodb):
    stack = mongodb(backup=Backup())
    dump = stack.one("Secret", "docs-dump").at("stringData")["dump.yaml"]
    assert dump.startswith(
        "uri: mongodb://backup:generated-for-docs-backup-password@docs.shop.svc.cluster.local:27017/"
    )
    job = stack.one("CronJob").at(f"spec.jobTemplate.{POD}")
    assert "root" not in str(job)
    assert "docs-credentials" not in str(job)


def test_scripts_run_once_in_order_with_the_users_first(mongodb):
    stack = mongodb()
    scripts = stack.one("ConfigMap", "docs-init").at("data")
    assert sorted(scripts) == ["00-users.js", "10-indexes.js"]
    mounts = {each["name"]: each["mountPath"] for each in stack.one("StatefulSet").at(f"{CONTAINER}.volumeMounts")}
    assert mounts["init"] == "/docker-entrypoint-initdb.d"


def test_own_scripts_take_the_place_of_the_indexes_and_keep_the_users(mongodb, tmp_path):
    (tmp_path / "20-own.js").write_text("db.own.createIndex({ a: 1 })")
    (tmp_path / "30-more.sh").write_text("echo more")
    (tmp_path / "README.md").write_text("not a script")
    scripts = mongodb(init_scripts=tmp_path).one("ConfigMap", "docs-init").at("data")
    assert sorted(scripts) == ["00-users.js", "20-own.js", "30-more.sh"]


def test_a_changed_script_changes_the_checksum_of_the_pods(mongodb, tmp_path):
    def checksum() -> str:
        found = mongodb(init_scripts=tmp_path).one("StatefulSet")
        return found.at("spec.template.metadata.annotations")["slipway.dev/config-checksum"]

    script = tmp_path / "20-own.js"
    script.write_text("1")
    before = checksum()
    assert checksum() == before
    script.write_text("2")
    assert checksum() != before


def test_a_folder_of_scripts_that_is_not_there_is_refused(mongodb, tmp_path):
    with pytest.raises(ValueError, match="is no directory: name one with"):
        mongodb(init_scripts=tmp_path / "missing")


def test_a_set_is_named_member_by_member(mongodb):
    stack = mongodb(replica_set=SET)
    found = uri(stack)
    hosts = [(f"docs-{ordinal}.docs-headless.shop.svc.cluster.local", 27017) for ordinal in range(3)]
    assert found["nodelist"] == hosts
    assert found["options"]["replicaSet"] == "rs0"
    service = stack.one("Service")
    assert service.at("spec.clusterIP") == "None"
    assert service.at("spec.publishNotReadyAddresses") is True
    assert stack.one("StatefulSet").at("spec.serviceName") == "docs-headless"


def test_members_of_a_set_know_one_another_by_a_key_that_only_they_have(mongodb):
    workload = mongodb(replica_set=SET).one("StatefulSet")
    volume = next(each for each in workload.at(f"{POD}.volumes") if each["name"] == "keyfile")
    assert volume["secret"]["items"] == [{"key": "keyfile", "path": "keyfile"}]
    assert variables(workload)["KEY_FILE"] == "/secrets/keyfile"
    assert not [each for each in mongodb().one("StatefulSet").at(f"{POD}.volumes") if each["name"] == "keyfile"]


def test_a_set_is_initiated_by_a_job_after_its_members_are_there(mongodb):
    stack = mongodb(replica_set=SET)
    job = stack.one("Job")
    assert not job.has("metadata.name")
    assert stack.one("StatefulSet").urn in job.depends_on
    given = variables(job)
    assert len(given["MEMBERS"].split(" ")) == 3
    assert given["ROOT_PASSWORD"]["secretKeyRef"]["key"] == "root-password"
    assert job.at(f"{CONTAINER}.command")[:4] == ["mongosh", "--quiet", "--norc", "--nodb"]


def test_the_admin_page_sees_one_database_and_asks_for_a_password(mongodb):
    stack = mongodb(admin=MongoAdmin(username="keeper", password="chosen"))
    page = stack.one("Deployment")
    given = variables(page)
    assert given["ME_CONFIG_MONGODB_ENABLE_ADMIN"] == "false"
    assert (given["ME_CONFIG_BASICAUTH"], given["ME_CONFIG_BASICAUTH_USERNAME"]) == ("true", "keeper")
    secret = stack.one("Secret", "docs-admin")
    assert given["ME_CONFIG_BASICAUTH_PASSWORD"]["secretKeyRef"]["name"] == secret.object_name
    assert secret.at("stringData.password") == "chosen"
    assert secret.at("stringData.uri").startswith("mongodb://slipway:")
    service = stack.one("Service", "docs-admin-service")
    assert service.at("spec.ports") == [{"name": "admin", "port": 80, "targetPort": "admin"}]
    assert stack.result.admin_pods.selector == service.at("spec.selector")


def test_without_an_admin_page_there_is_none_to_reach(mongodb):
    stack = mongodb()
    assert not stack.all("Deployment")
    assert stack.result.admin_service_name is None
    assert stack.result.admin_pods is None


def test_copies_are_kept_on_a_volume_of_their_own(mongodb):
    stack = mongodb(backup=Backup(schedule="5 4 * * *", retention=3, storage=Storage(size="30Gi")), protect=True)
    job = stack.one("CronJob")
    assert job.at("spec.schedule") == "5 4 * * *"
    assert variables(job, f"spec.jobTemplate.{CONTAINER}")["RETENTION"] == "3"
    claim = stack.one("PersistentVolumeClaim")
    assert claim.at("spec.resources.requests.storage") == "30Gi"
    assert claim.protect


def test_data_is_protected_and_outlives_its_set_where_asked(mongodb):
    kept = mongodb(protect=True).one("StatefulSet")
    assert kept.protect
    assert kept.retain_on_delete
    assert kept.at("spec.persistentVolumeClaimRetentionPolicy.whenDeleted") == "Retain"
    assert mongodb().one("StatefulSet").at("spec.persistentVolumeClaimRetentionPolicy.whenDeleted") == "Delete"


def test_every_pod_is_restricted_and_has_no_token(mongodb):
    stack = mongodb(replica_set=SET, admin=MongoAdmin(), backup=Backup())
    pods = [each.at(POD) for each in (stack.one("StatefulSet"), stack.one("Deployment"), stack.one("Job"))]
    pods.append(stack.one("CronJob").at(f"spec.jobTemplate.{POD}"))
    for pod in pods:
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["containers"][0]["securityContext"]["readOnlyRootFilesystem"] is True


def test_edges_are_those_of_what_there_is(mongodb):
    client = Pods(name="web", selector={})
    assert mongodb().result.edges == ()
    assert [edge.name for edge in mongodb().result.edges_from(client)] == ["web-to-docs"]
    full = mongodb(replica_set=SET, admin=MongoAdmin(), backup=Backup()).result
    assert [edge.name for edge in full.edges] == [
        "docs-to-docs",
        "docs-initiate-to-docs",
        "docs-admin-to-docs",
        "docs-backup-to-docs",
    ]
