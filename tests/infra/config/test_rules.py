"""What rules leave alone, where their edges lie, and that they read only what they say."""

import pytest

from infra.config import StackConfig
from infra.config.rules.registry import RULES
from infra.config.secrets import Secrets

DIGEST = "@sha256:" + "ab" * 32
PROD = f"""
environment: prod
image: {{strategy: published, ref: "registry.acme.io/acme/slipway{DIGEST}"}}
servers: {{web: {{}}}}
protect: true
"""


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.check.__name__)
def test_a_rule_reads_no_section_beside_those_it_names(rule):
    """A rule is skipped when a section that it names is broken; others would be read as their defaults."""
    read = set()

    class Watched:
        secrets = Secrets()

        def __getattr__(self, name):
            read.add(StackConfig.model_fields[name].alias)
            return getattr(config, name)

    for values in ({"environment": "prod"}, FULL):
        config = StackConfig.model_validate(values)
        list(rule.check(Watched()))
    assert read <= rule.sections


FULL = {
    "environment": "prod",
    "image": {"strategy": "build", "push": False, "username": "ci", "repository": "your-registry/slipway"},
    "namespace": {"quota": {"pods": 1}, "limits": {"maxCpu": "100m"}},
    "servers": {"web": {"autoscaling": {}, "host": "mcp.example.com", "nodePort": 30800, "toolsets": ["search"]}},
    "redis": {"mode": "sentinel", "clientAccess": "service", "backup": {}},
    "mongodb": {"enabled": True, "replicaSet": {"members": 2}, "admin": {"host": "a.example.com"}, "backup": {}},
    "exposure": {"profile": "nginx", "rateLimit": {"requestsPerSecond": 1}, "gateway": {"name": "a", "namespace": "b"}},
    "tls": {"mode": "acme", "email": "a@example.com"},
    "network": {"egressHttps": False},
    "gateway": {
        "enabled": True,
        "servers": {"one": {"type": "archon"}, "two": {"type": "image", "image": "a/b:1"}},
        "registries": {"npm": [{"url": "https://npm.acme.io/", "scopes": ["@acme"], "username": "ci"}]},
    },
    "mesh": {"enabled": True, "agents": {"web": {"image": "a/b:1", "capabilities": [{"name": "greeting"}]}}},
    "serviceMesh": {"kind": "istio"},
}


def test_a_prod_stack_that_keeps_the_rules_is_accepted(problems):
    assert problems(PROD) == {}


@pytest.mark.parametrize("minimum", [1, 5])
def test_autoscaling_between_equal_bounds_is_accepted(problems, minimum):
    scaling = f"{{minReplicas: {minimum}, maxReplicas: {minimum}}}"
    assert problems(f"{{environment: dev, servers: {{web: {{autoscaling: {scaling}}}}}}}") == {}


def test_autoscaling_by_a_pod_metric_alone_is_accepted(problems):
    scaling = "{cpu: null, memory: null, podMetrics: [{name: slipway_sessions_open, average: 50}]}"
    assert problems(f"{{environment: dev, servers: {{web: {{autoscaling: {scaling}}}}}}}") == {}


def test_three_sentinels_are_enough(problems):
    assert problems("{environment: dev, servers: {web: {}}, redis: {mode: sentinel, replicas: 3, quorum: 3}}") == {}


def test_requests_equal_to_limits_are_accepted_however_they_are_written(problems):
    resources = "{requests: {cpu: 0.5, memory: 512Mi}, limits: {cpu: 500m, memory: 0.5Gi}}"
    assert "servers.web.resources.limits.memory" in problems(
        f"{{environment: dev, servers: {{web: {{resources: {resources}}}}}}}"
    )
    resources = "{requests: {cpu: 0.5, memory: 1024Mi}, limits: {cpu: 500m, memory: 1Gi}}"
    assert problems(f"{{environment: dev, servers: {{web: {{resources: {resources}}}}}}}") == {}


def test_a_default_disruption_budget_is_never_a_mistake(problems):
    assert problems("{environment: dev, servers: {web: {replicas: 1}}}") == {}


@pytest.mark.parametrize("port", [30000, 32767])
def test_the_ends_of_the_node_port_range_are_accepted(problems, port):
    assert problems(f"{{environment: dev, servers: {{web: {{nodePort: {port}}}}}}}") == {}


def test_two_servers_may_share_a_host_on_different_paths(problems):
    servers = "{one: {path: /one}, two: {path: /two}}"
    assert problems(f"{{environment: dev, servers: {servers}, exposure: {{profile: nginx, host: mcp.acme.io}}}}") == {}


def test_a_server_that_is_not_exposed_takes_no_path(problems):
    servers = "{one: {}, two: {exposed: false}}"
    assert problems(f"{{environment: dev, servers: {servers}, exposure: {{profile: nginx, host: mcp.acme.io}}}}") == {}


def test_an_example_domain_is_accepted_in_dev(problems):
    assert problems("{environment: dev, servers: {web: {}}, exposure: {profile: nginx, host: mcp.example.com}}") == {}


@pytest.mark.parametrize(
    "host",
    ["example.com", "mcp.example.org", "mcp.your-domain.com", "mcp.yourdomain.io", "mcp.acme.test", "a.b.example"],
)
def test_an_example_domain_is_refused_in_prod(problems, host):
    found = problems(f"{PROD}\nexposure: {{profile: nginx, host: {host}}}")
    assert found == {"exposure.host": f"'{host}' is an example; use your own name in prod"}


@pytest.mark.parametrize("host", ["mcp.examples.com", "example.acme.io", "yourself.io", "mcp.contest.io"])
def test_a_name_that_only_resembles_an_example_is_accepted_in_prod(problems, host):
    assert problems(f"{PROD}\nexposure: {{profile: nginx, host: {host}}}") == {}


def test_an_external_server_that_is_disabled_may_be_of_any_type(problems):
    servers = "{mine: {enabled: false, type: image, image: acme/mine:1}}"
    assert problems(f"{{environment: dev, gateway: {{enabled: true, servers: {servers}}}}}") == {}


def test_registries_with_users_scopes_and_tokens_are_accepted(problems):
    npm = (
        "[{url: https://npm.acme.io/, scopes: ['@acme', '@tools'], tokenSecret: npm}, {url: http://all.acme.io:4873/}]"
    )
    # A registry may serve both, at one address, and a token may open both.
    pypi = "[{url: https://npm.acme.io/, username: robot$ci, tokenSecret: npm}, {url: http://10.0.0.7/feed@Local/}]"
    registries = f"{{npm: {npm}, pypi: {pypi}}}"
    gateway = f"{{enabled: true, verify: require, registries: {registries}}}"
    assert problems(f"{{environment: dev, gateway: {gateway}, secrets: {{npm: {{secure: x}}}}}}") == {}


def test_a_quota_that_just_fits_is_accepted(problems):
    servers = "{web: {replicas: 2, resources: {requests: {cpu: 250m, memory: 256Mi}}}}"
    quota = "{cpuRequests: 0.5, memoryRequests: 512Mi, cpuLimits: 1, memoryLimits: 1Gi, pods: 2}"
    assert problems(f"{{environment: dev, servers: {servers}, namespace: {{quota: {quota}}}}}") == {}


def test_rules_of_sound_sections_are_checked_beside_a_broken_one(problems):
    found = problems("{environment: dev, servers: {web: {replicas: 0}}, redis: {mode: sentinel, quorum: 4}}")
    assert set(found) == {"servers.web.replicas", "redis.quorum"}


def test_a_rule_is_silent_about_a_section_that_could_not_be_read(problems):
    # Read as its default, the broken section would hold no server at all.
    found = problems("{environment: dev, servers: {web: {replicas: 0}}}")
    assert set(found) == {"servers.web.replicas"}
