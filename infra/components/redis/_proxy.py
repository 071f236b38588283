"""One Service for the current master: a pair of proxies that ask every node for its role once a second."""

import pulumi
from pulumi_kubernetes.apps.v1 import Deployment, DeploymentSpecArgs
from pulumi_kubernetes.core.v1 import (
    ContainerArgs,
    Service,
    ServicePortArgs,
    ServiceSpecArgs,
)
from pulumi_kubernetes.meta.v1 import LabelSelectorArgs, ObjectMetaArgs

from infra import annotations, naming, pods
from infra.component import Component, object_name
from infra.components._files import file_map, file_mount, file_volume, texts
from infra.components._workloads import disruption_budget, pod_template
from infra.components.redis._nodes import PASSWORD_KEY, Nodes
from infra.components.redis._pods import Parts
from infra.pods import Resources
from infra.ports import REDIS, Port

COMPONENT = "redis-proxy"
HEALTH = Port(name="health", number=8404)
_CONFIG = "/usr/local/etc/haproxy"
_HAPROXY_USER = 99
_RESOURCES = Resources(cpu_request="50m", memory_request="64Mi", cpu_limit="500m", memory_limit="256Mi")
# The Redis protocol with lengths, so that no character of a password can end the command.
_AUTHENTICATION = r"""
  tcp-check send-lf *2\r\n$4\r\nAUTH\r\n$%[env(REDIS_PASSWORD),length]\r\n%[env(REDIS_PASSWORD)]\r\n
  tcp-check expect string +OK
""".strip("\n")


def configuration(nodes: Nodes, *, authenticated: bool) -> str:
    """haproxy's configuration for these nodes. The password is read from the environment."""
    servers = "\n".join(f"  server redis-{ordinal} {node} check" for ordinal, node in enumerate(nodes.redis))
    template = texts("redis", ["haproxy.cfg"])["haproxy.cfg"]
    return template.replace("@authentication@", _AUTHENTICATION if authenticated else "").replace("@servers@", servers)


def proxy_name(name: str) -> str:
    return naming.child(name, "proxy")


def make(owner: Component, parts: Parts) -> pulumi.Output[str]:
    """The proxies and the Service before them, which has the plain name; returns that name."""
    args, name = parts.args, proxy_name(owner.name)
    labels, selector = naming.labels(name, COMPONENT), naming.selector(name, COMPONENT)
    config = parts.nodes.apply(lambda nodes: configuration(nodes, authenticated=args.authentication))
    config_map = file_map(owner, "proxy-config", COMPONENT, args.namespace, {"haproxy.cfg": config})
    login = (
        [] if parts.credentials is None else [pods.env_from_secret("REDIS_PASSWORD", parts.credentials, PASSWORD_KEY)]
    )
    container = ContainerArgs(
        name="haproxy",
        image=args.proxy_image,
        command=["haproxy", "-W", "-db", "-f", f"{_CONFIG}/haproxy.cfg"],
        ports=[pods.container_port(REDIS), pods.container_port(HEALTH)],
        env=[pods.env("REDIS_PORT", str(REDIS.number)), pods.env("HEALTH_PORT", str(HEALTH.number)), *login],
        resources=_RESOURCES.args(),
        security_context=pods.restricted_container(),
        volume_mounts=[file_mount("config", _CONFIG), pods.scratch_mount()],
        startup_probe=pods.http_probe("/healthz", HEALTH, period=2, failures=30),
        liveness_probe=pods.http_probe("/healthz", HEALTH),
        readiness_probe=pods.http_probe("/ready", HEALTH, period=2, failures=2),
    )
    Deployment(
        naming.child(name, "deployment"),
        metadata=ObjectMetaArgs(name=name, namespace=args.namespace, labels=labels),
        spec=DeploymentSpecArgs(
            replicas=2,
            selector=LabelSelectorArgs(match_labels=selector),
            template=pod_template(
                name,
                COMPONENT,
                container,
                [file_volume("config", config_map)],
                user=_HAPROXY_USER,
                per_revision=True,
                annotations={annotations.CONFIG_CHECKSUM: config.apply(lambda text: annotations.checksum({"": text}))},
            ),
        ),
        opts=owner.child_options(),
    )
    disruption_budget(owner, name, COMPONENT, args.namespace)
    service = Service(
        naming.child(owner.name, "service"),
        metadata=ObjectMetaArgs(name=owner.name, namespace=args.namespace, labels=labels),
        spec=ServiceSpecArgs(
            selector=selector,
            ports=[ServicePortArgs(name=REDIS.name, port=REDIS.number, target_port=REDIS.name)],
        ),
        opts=owner.child_options(),
    )
    return object_name(service.metadata)
