"""Redis: what each mode registers, and that an app needs to know nothing but one URL."""

import pytest

from app.sessions.redis_address import RedisAddress
from infra.components.redis import Redis, RedisArgs
from infra.edges import Pods
from infra.pods import Resources
from infra.storage import Backup, Storage

POD = "spec.template.spec"
CONTAINER = f"{POD}.containers.0"


def variables(resource, container: str = CONTAINER) -> dict:
    return {each["name"]: each.get("value", each.get("valueFrom")) for each in resource.at(f"{container}.env")}


@pytest.fixture
def redis(run):
    def made(**given):
        return run(lambda: Redis("cache", RedisArgs(namespace="shop", **given)))

    return made


def address(stack) -> RedisAddress:
    return RedisAddress.parse(stack.one("Secret", "cache-url").at("stringData.REDIS_URL"))


def test_standalone_is_one_pod_behind_one_service(redis):
    stack = redis()
    workload = stack.one("StatefulSet")
    assert workload.object_name == "cache"
    assert workload.at("spec.replicas") == 1
    assert stack.one("Service").at("spec.selector") == workload.at("spec.selector.matchLabels")
    assert stack.one("Service").at("spec.ports") == [{"name": "redis", "port": 6379, "targetPort": "redis"}]
    assert address(stack).hosts == (("cache.shop.svc.cluster.local", 6379),)
    assert address(stack).service is None


def test_standalone_keeps_ten_gibibytes_unless_told_otherwise(redis):
    claim = redis().one("StatefulSet").at("spec.volumeClaimTemplates.0.spec")
    assert claim["resources"]["requests"] == {"storage": "10Gi"}
    assert claim["accessModes"] == ["ReadWriteOnce"]
    other = redis(storage=Storage(size="20Gi", storage_class="fast")).one("StatefulSet")
    assert other.at("spec.volumeClaimTemplates.0.spec.storageClassName") == "fast"
    assert other.at("spec.volumeClaimTemplates.0.spec.resources.requests.storage") == "20Gi"


def test_without_persistence_the_data_is_an_empty_directory(redis):
    stack = redis(persistence=False)
    workload = stack.one("StatefulSet")
    assert not workload.has("spec.volumeClaimTemplates")
    assert {"name": "data", "emptyDir": {}} in workload.at(f"{POD}.volumes")
    assert variables(workload)["APPEND_ONLY"] == "no"


def test_as_a_deployment_it_owns_its_claim_and_never_runs_twice(redis):
    stack = redis(workload="deployment", protect=True)
    deployment = stack.one("Deployment")
    assert deployment.at("spec.strategy") == {"type": "Recreate"}
    claim = stack.one("PersistentVolumeClaim")
    assert claim.protect
    assert claim.retain_on_delete
    mounted = next(volume for volume in deployment.at(f"{POD}.volumes") if volume["name"] == "data")
    assert mounted["persistentVolumeClaim"] == {"claimName": claim.object_name}
    assert not stack.all("StatefulSet")


def test_as_a_deployment_without_persistence_it_claims_nothing(redis):
    stack = redis(workload="deployment", persistence=False)
    assert not stack.all("PersistentVolumeClaim")
    assert {"name": "data", "emptyDir": {}} in stack.one("Deployment").at(f"{POD}.volumes")


def test_sentinel_mode_is_three_and_three_that_know_one_another_by_name(redis):
    stack = redis(mode="sentinel")
    nodes, sentinels = (
        stack.one("StatefulSet", "cache-statefulset"),
        stack.one("StatefulSet", "cache-sentinel-statefulset"),
    )
    assert nodes.at("spec.replicas") == sentinels.at("spec.replicas") == 3
    assert nodes.at("spec.podManagementPolicy") == sentinels.at("spec.podManagementPolicy") == "Parallel"
    expected = [f"cache-{ordinal}.cache-headless.shop.svc.cluster.local:6379" for ordinal in range(3)]
    assert variables(nodes)["REDIS_NODES"].split(" ") == expected
    assert variables(sentinels)["REDIS_NODES"] == variables(nodes)["REDIS_NODES"]
    assert variables(nodes)["SELF"] == "$(POD_NAME).cache-headless.shop.svc.cluster.local:6379"
    assert variables(sentinels)["SELF"] == "$(POD_NAME).cache-sentinel.shop.svc.cluster.local:26379"
    assert variables(sentinels)["QUORUM"] == "2"
    for workload in (nodes, sentinels):
        service = stack.one("Service", f"{workload.at('spec.serviceName')}-service")
        assert service.at("spec.clusterIP") == "None"
        assert service.at("spec.publishNotReadyAddresses") is True
        assert service.at("spec.selector") == workload.at("spec.selector.matchLabels")


def test_sentinels_remember_votes_on_a_volume_only_where_the_data_has_one(redis):
    kept = redis(mode="sentinel", storage=Storage(storage_class="fast")).one(
        "StatefulSet", "cache-sentinel-statefulset"
    )
    assert kept.at("spec.volumeClaimTemplates.0.spec.resources.requests.storage") == "1Gi"
    assert kept.at("spec.volumeClaimTemplates.0.spec.storageClassName") == "fast"
    lost = redis(mode="sentinel", persistence=False).one("StatefulSet", "cache-sentinel-statefulset")
    assert not lost.has("spec.volumeClaimTemplates")


def test_in_sentinel_mode_the_url_names_all_sentinels_and_their_password(redis):
    found = address(redis(mode="sentinel", password="p@ss/w:rd?"))
    assert found.hosts == tuple(
        (f"cache-sentinel-{ordinal}.cache-sentinel.shop.svc.cluster.local", 26379) for ordinal in range(3)
    )
    assert found.service == "slipway"
    assert found.password == found.options["sentinel_password"] == "p@ss/w:rd?"


def test_with_service_access_the_url_is_plain_and_proxies_follow_the_master(redis):
    stack = redis(mode="sentinel", client_access="service")
    assert address(stack).hosts == (("cache.shop.svc.cluster.local", 6379),)
    proxies = stack.one("Deployment")
    assert proxies.at("spec.replicas") == 2
    assert stack.one("Service", "cache-service").at("spec.selector") == proxies.at("spec.selector.matchLabels")
    config = stack.one("ConfigMap", "cache-proxy-config").at("data")["haproxy.cfg"]
    for ordinal in range(3):
        assert f"server redis-{ordinal} cache-{ordinal}.cache-headless.shop.svc.cluster.local:6379 check" in config
    assert "generated-for" not in config


def test_the_password_is_generated_kept_in_secrets_and_in_nothing_else(redis):
    stack = redis(mode="sentinel", client_access="service", backup=Backup())
    password = "generated-for-cache-password"
    holders = {each.name for each in stack.registered if password in str(each.inputs)}
    assert holders == {"cache-credentials", "cache-url"}
    for name in holders:
        for value in stack.one("Secret", name).at("stringData").values():
            assert type(value).__name__ == "Secret"


def test_every_container_gets_the_password_by_reference(redis):
    stack = redis(mode="sentinel", backup=Backup())
    secret = stack.one("Secret", "cache-credentials").object_name
    reference = {"secretKeyRef": {"key": "password", "name": secret}}
    for workload in stack.all("StatefulSet"):
        assert variables(workload)["REDISCLI_AUTH"] == reference
    job = stack.one("CronJob")
    assert variables(job, f"spec.jobTemplate.{POD}.containers.0")["REDISCLI_AUTH"] == reference


def test_a_given_password_is_used_and_none_is_generated(redis):
    stack = redis(password="chosen")
    assert stack.one("Secret", "cache-credentials").at("stringData.password") == "chosen"
    assert not stack.all("RandomPassword")


def test_without_authentication_there_is_no_password_anywhere(redis):
    stack = redis(authentication=False)
    assert stack.one("Secret", "cache-url").at("stringData.REDIS_URL") == "redis://cache.shop.svc.cluster.local:6379/0"
    assert "REDISCLI_AUTH" not in variables(stack.one("StatefulSet"))
    assert not stack.all("RandomPassword")


def test_no_data_is_evicted_and_memory_leaves_room_for_a_snapshot(redis):
    stack = redis(resources=Resources(memory_limit="1Gi"))
    assert variables(stack.one("StatefulSet"))["MAX_MEMORY"] == str(int(0.6 * 2**30))
    assert "maxmemory-policy noeviction" in stack.one("ConfigMap", "cache-scripts").at("data")["redis.conf"]


def test_a_master_hands_over_before_it_stops_only_where_there_is_somebody_to_take_over(redis):
    assert redis(mode="sentinel").one("StatefulSet", "cache-statefulset").at(
        f"{CONTAINER}.lifecycle.preStop.exec.command"
    ) == [
        "sh",
        "/scripts/hand-over.sh",
    ]
    assert not redis().one("StatefulSet").has(f"{CONTAINER}.lifecycle")


def test_a_pair_takes_writes_without_its_replica_and_a_trio_does_not(redis):
    pair = redis(mode="sentinel", replicas=2, quorum=1).one("StatefulSet", "cache-statefulset")
    trio = redis(mode="sentinel").one("StatefulSet", "cache-statefulset")
    assert variables(pair)["MIN_REPLICAS"] == "0"
    assert variables(trio)["MIN_REPLICAS"] == "1"


def test_pods_are_restricted_and_probed_by_scripts(redis):
    for workload in redis(mode="sentinel").all("StatefulSet"):
        assert workload.at(f"{POD}.securityContext.runAsUser") == 999
        assert workload.at(f"{CONTAINER}.securityContext.readOnlyRootFilesystem") is True
        assert workload.at(f"{POD}.automountServiceAccountToken") is False
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            assert workload.at(f"{CONTAINER}.{probe}.exec.command")[0] == "sh"


def test_every_script_that_a_pod_runs_is_in_its_config_map(redis):
    stack = redis(mode="sentinel", backup=Backup())
    there = stack.one("ConfigMap", "cache-scripts").at("data")
    containers = [each.at(CONTAINER) for each in stack.all("StatefulSet")]
    containers.append(stack.one("CronJob").at(f"spec.jobTemplate.{POD}.containers.0"))
    commands = [container["command"] for container in containers]
    commands += [
        container[probe]["exec"]["command"]
        for container in containers[:2]
        for probe in ("startupProbe", "readinessProbe")
    ]
    assert {command[1].removeprefix("/scripts/") for command in commands} <= set(there)


def test_copies_go_to_a_volume_of_their_own_and_old_ones_go(redis):
    stack = redis(backup=Backup(schedule="5 4 * * *", retention=3, storage=Storage(size="30Gi")), protect=True)
    job = stack.one("CronJob")
    assert job.at("spec.schedule") == "5 4 * * *"
    assert job.at("spec.concurrencyPolicy") == "Forbid"
    claim = stack.one("PersistentVolumeClaim")
    assert claim.at("spec.resources.requests.storage") == "30Gi"
    assert claim.protect
    pod = job.at(f"spec.jobTemplate.{POD}")
    assert {"name": "backups", "persistentVolumeClaim": {"claimName": claim.object_name}} in pod["volumes"]
    assert variables(job, f"spec.jobTemplate.{POD}.containers.0")["RETENTION"] == "3"
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert not redis().all("CronJob")


def test_data_is_protected_and_outlives_its_set_where_asked(redis):
    kept = redis(mode="sentinel", protect=True)
    for workload in kept.all("StatefulSet"):
        assert workload.protect
        assert workload.retain_on_delete
        assert workload.at("spec.persistentVolumeClaimRetentionPolicy.whenDeleted") == "Retain"
    dropped = redis().one("StatefulSet")
    assert not dropped.protect
    assert dropped.at("spec.persistentVolumeClaimRetentionPolicy") == {"whenDeleted": "Delete", "whenScaled": "Retain"}


def test_a_drain_takes_one_pod_at_a_time(redis):
    stack = redis(mode="sentinel")
    for name, workload in (("cache-pdb", "cache-statefulset"), ("cache-sentinel-pdb", "cache-sentinel-statefulset")):
        budget = stack.one("PodDisruptionBudget", name)
        assert budget.at("spec.maxUnavailable") == 1
        assert budget.at("spec.selector") == stack.one("StatefulSet", workload).at("spec.selector")


def edge_names(edges) -> set[str]:
    return {edge.name for edge in edges}


def test_edges_are_those_of_the_mode(redis):
    client = Pods(name="web", selector={})
    alone = redis().result
    assert edge_names(alone.edges) == set()
    assert edge_names(alone.edges_from(client)) == {"web-to-cache"}
    watched = redis(mode="sentinel", backup=Backup()).result
    assert edge_names(watched.edges_from(client)) == {"web-to-cache", "web-to-cache-sentinel"}
    assert edge_names(watched.edges) == {
        "cache-to-cache",
        "cache-sentinel-to-cache",
        "cache-sentinel-to-cache-sentinel",
        "cache-to-cache-sentinel",
        "cache-backup-to-cache",
    }
    proxied = redis(mode="sentinel", client_access="service").result
    assert edge_names(proxied.edges_from(client)) == {"web-to-cache-proxy"}
    assert "cache-proxy-to-cache" in edge_names(proxied.edges)


def test_the_component_tells_where_the_url_is_and_never_the_url(redis):
    stack = redis(mode="sentinel")
    outputs = stack.outputs(stack.one("Redis"))
    assert outputs["url_key"] == "REDIS_URL"
    assert outputs["url_secret_name"] == stack.one("Secret", "cache-url").object_name
    assert outputs["service_name"] == "cache-sentinel"
    assert "generated-for" not in str(outputs)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"mode": "sentinel", "replicas": 1, "quorum": 1}, r"replicas=1: Sentinel mode needs 2 or more"),
        ({"mode": "sentinel", "quorum": 4}, r"quorum=4: give 1 to 3"),
        ({"authentication": False, "password": "x"}, r"password is given but authentication is off"),
    ],
)
def test_args_that_contradict_themselves_are_refused(given, message):
    with pytest.raises(ValueError, match=message):
        RedisArgs(namespace="shop", **given)
