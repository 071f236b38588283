"""Each shipped stack file says what it is meant to say: the examples, number by number, as their systems have it."""

import pytest

from infra.config import StackConfig

SCALING = {"min_replicas": 2, "max_replicas": 10, "cpu": 70, "memory": 80}


def resources(cpu, memory, cpu_limit, memory_limit):
    return {"requests": {"cpu": cpu, "memory": memory}, "limits": {"cpu": cpu_limit, "memory": memory_limit}}


EXPECTED = {
    "examples/high-command.yaml": {
        "servers.high-command.replicas": 3,
        "servers.high-command.autoscaling": SCALING,
        "servers.high-command.resources": resources("100m", "128Mi", "500m", "512Mi"),
        "servers.high-command.transport": "http",
        "servers.high-command.listen_port": 8000,
        "servers.high-command.workers": 4,
        "servers.high-command.rbac": "cluster",
        "servers.high-command.anti_affinity": "preferred",
        "servers.high-command.toolsets": ("war",),
        "servers.high-command.node_port": None,
        "namespace.pod_security": "restricted",
        "network.enabled": True,
        "network.egress_https": True,
        "redis.mode": "none",
        "mongodb.enabled": False,
        "exposure.profile": "none",
    },
    "examples/websocket-server.yaml": {
        "namespace.name": "mcp-server",
        "image.strategy": "auto",
        "image.repository": "kringen/mcp-server",
        "servers.mcp-server.transport": "websocket",
        "servers.mcp-server.listen_port": 8080,
        "servers.mcp-server.replicas": 2,
        "servers.mcp-server.autoscaling": SCALING,
        "servers.mcp-server.resources": resources("100m", "256Mi", "500m", "512Mi"),
        "servers.mcp-server.affinity": {"enabled": True, "timeout_seconds": 86400},
        "servers.mcp-server.node_port": 30800,
        "servers.mcp-server.disruption.min_available": 1,
        "servers.mcp-server.drain_seconds": 15,
        "servers.mcp-server.toolsets": ("documents", "search"),
        "mongodb.enabled": True,
        "mongodb.storage.size": "10Gi",
        "mongodb.replica_set": None,
        "exposure.profile": "nginx",
        "exposure.controller_namespace": "ingress-nginx",
        "exposure.timeout_seconds": 3600,
        "exposure.affinity_seconds": 86400,
        "observability.annotations": True,
    },
    "examples/archon.yaml": {
        "namespace.name": "archon",
        "gateway.enabled": True,
        "gateway.port": 8051,
        "gateway.archon_image": "archon-mcp:latest",
        "gateway.server_resources.limits": {"cpu": "500m", "memory": "512Mi"},
        "gateway.security": {
            "allow_npx": True,
            "allow_uv": True,
            "allow_custom_images": False,
            "internet_access": True,
        },
        "gateway.servers.archon.type": "archon",
        "gateway.servers.archon.transport": "sse",
        "gateway.servers.archon.port": 8051,
        "gateway.servers.braveSearch.enabled": True,
        "gateway.servers.filesystem.enabled": True,
        "gateway.servers.filesystem.allowed_paths": ("/tmp", "/var/cache"),
    },
    "examples/map-server.yaml": {
        "namespace.name": "mcp-map-server",
        "image.repository": "mcp-map-server",
        "servers.mcp-map-server.listen_port": 8081,
        "servers.mcp-map-server.replicas": 2,
        "servers.mcp-map-server.autoscaling": SCALING,
        "servers.mcp-map-server.resources": resources("500m", "512Mi", "2000m", "2Gi"),
        "servers.mcp-map-server.toolsets": ("map",),
        "redis.mode": "sentinel",
        "redis.replicas": 3,
        "redis.quorum": 2,
        "redis.password": "none",
        "redis.persistence": True,
        "redis.storage": {"size": "10Gi", "storage_class": "standard"},
        "exposure.profile": "nginx",
        "exposure.class_name": "nginx",
        "exposure.host": "mcp-map.your-domain.com",
        "tls.mode": "acme",
        "tls.issuer_kind": "ClusterIssuer",
        "tls.issuer_name": "letsencrypt-prod",
        "tls.email": "your-email@example.com",
        "tls.directory_url": "https://acme-v02.api.letsencrypt.org/directory",
        "tls.solver_class": "nginx",
        "tls.secret_name": "mcp-map-tls",
        "tls.install_cert_manager.version": "v1.13.0",
        "observability.annotations": True,
    },
    "examples/mesh.yaml": {
        "namespace.name": "mcp-mesh",
        "namespace.pod_security": "restricted",
        "mesh.enabled": True,
        "mesh.crd": True,
        "mesh.operator": True,
        "mesh.registry.replicas": 3,
        "mesh.registry.port": 8000,
        "mesh.agents.hello-world.capabilities": ({"name": "greeting", "version": "1.0.0", "timeout": 30, "tags": ()},),
        "mesh.agents.hello-world.health_interval": 30,
        "mesh.agents.hello-world.retry_attempts": 3,
        "service_mesh.kind": "linkerd",
        "service_mesh.strict_mtls": True,
        "service_mesh.agents_host": "mcp-agents",
        "service_mesh.timeout": "30s",
        "service_mesh.retry_budget": {"retry_ratio": 0.2, "min_retries_per_second": 10, "ttl": "10s"},
        "service_mesh.outlier_detection.consecutive_errors": 5,
        "service_mesh.outlier_detection.ejection_time": "30s",
        "observability.service_monitor": True,
        "observability.rules": True,
        "observability.dashboards": True,
    },
    "Pulumi.dev.yaml": {
        "environment": "dev",
        "servers.web.replicas": 1,
        "servers.web.autoscaling": None,
        "redis.mode": "none",
        "mongodb.enabled": False,
        "tls.mode": "none",
        "image.strategy": "build",
        "image.push": False,
        "protect": False,
    },
    "Pulumi.prod.yaml": {
        "environment": "prod",
        "servers.web.autoscaling": SCALING,
        "redis.mode": "sentinel",
        "redis.replicas": 3,
        "mongodb.replica_set.members": 3,
        "tls.mode": "acme",
        "image.strategy": "build",
        "image.push": True,
        "protect": True,
    },
}
EXAMPLES = {file for file in EXPECTED if file.startswith("examples/")}


def at(config, path):
    """The value at a path of Python names; models as mappings."""
    value = config
    for name in path.split("."):
        value = value[name] if isinstance(value, dict) else getattr(value, name)
    return plain(value)


def plain(value):
    if isinstance(value, tuple):
        return tuple(plain(item) for item in value)
    return value.model_dump() if hasattr(value, "model_dump") else value


def cases():
    return [(file, path, value) for file, expected in EXPECTED.items() for path, value in expected.items()]


@pytest.fixture(scope="module")
def configs(shipped, read_file):
    return {name: StackConfig.parse(read_file(file)) for name, file in shipped.items()}


def test_there_are_seven_stack_files_and_all_are_accepted(configs):
    assert configs.keys() == EXPECTED.keys()


@pytest.mark.parametrize(("file", "path", "expected"), cases(), ids=lambda value: str(value)[:60])
def test_a_stack_file_says_the_number_of_its_system(configs, file, path, expected):
    found = at(configs[file], path)
    # A mapping names the keys that matter; the model may have more.
    assert {key: found[key] for key in expected} == expected if isinstance(expected, dict) else found == expected


def test_the_grace_period_of_the_websocket_server_is_thirty_seconds(configs):
    from infra.pods import grace_period

    server = configs["examples/websocket-server.yaml"].servers["mcp-server"]
    seconds = grace_period(drain_seconds=server.drain_seconds, request_budget_seconds=server.request_budget_seconds)
    assert seconds == 30


def test_the_admin_page_of_the_websocket_server_is_for_a_few(configs):
    admin = configs["examples/websocket-server.yaml"].mongodb.admin
    assert admin.allow_from
    assert "0.0.0.0/0" not in admin.allow_from


def test_every_server_of_an_example_scales_or_is_protected_from_drains(configs):
    for file in EXAMPLES:
        for server in configs[file].servers.values():
            assert server.autoscaling is not None, file
            assert server.disruption.min_available < server.autoscaling.max_replicas, file


def test_prod_names_every_foreign_image_by_digest(configs):
    config = configs["Pulumi.prod.yaml"]
    assert "@sha256:" in config.redis.image
    assert "@sha256:" in config.mongodb.image


def test_no_stack_file_holds_a_secret(shipped):
    for name, file in shipped.items():
        assert "secure:" not in file.read_text(encoding="utf-8"), name


def test_the_dockerfile_that_stack_files_name_exists(configs, repository_root):
    for name, config in configs.items():
        assert (repository_root / config.image.dockerfile).is_file(), name
