"""mongo-express: a page to look into the app's database, with a password of its own."""

import pulumi
from pulumi_kubernetes.apps.v1 import Deployment, DeploymentSpecArgs
from pulumi_kubernetes.core.v1 import (
    ContainerArgs,
    PodSpecArgs,
    PodTemplateSpecArgs,
    Service,
    ServicePortArgs,
    ServiceSpecArgs,
)
from pulumi_kubernetes.meta.v1 import LabelSelectorArgs, ObjectMetaArgs

from infra import naming, pods
from infra.component import Component, object_name
from infra.components.mongodb._args import MongoAdmin
from infra.pods import Resources
from infra.ports import MONGO_EXPRESS, SERVICE

COMPONENT = "mongo-express"
_RESOURCES = Resources(cpu_request="50m", memory_request="128Mi", cpu_limit="500m", memory_limit="256Mi")


def page(name: str) -> str:
    return naming.child(name, "admin")


def make(
    owner: Component, namespace: pulumi.Input[str], admin: MongoAdmin, *, secret: pulumi.Input[str]
) -> pulumi.Output[str]:
    """The page and its Service; returns the Service's name."""
    name = page(owner.name)
    labels, selector = naming.labels(name, COMPONENT), naming.selector(name, COMPONENT)
    container = ContainerArgs(
        name=COMPONENT,
        image=admin.image,
        ports=[pods.container_port(MONGO_EXPRESS)],
        env=[
            pods.env_from_secret("ME_CONFIG_MONGODB_URL", secret, "uri"),
            # As the app's user it sees the app's database, and no other.
            pods.env("ME_CONFIG_MONGODB_ENABLE_ADMIN", "false"),
            pods.env("ME_CONFIG_BASICAUTH", "true"),
            pods.env("ME_CONFIG_BASICAUTH_USERNAME", admin.username),
            pods.env_from_secret("ME_CONFIG_BASICAUTH_PASSWORD", secret, "password"),
            pods.env_from_secret("ME_CONFIG_SITE_COOKIESECRET", secret, "cookie-secret"),
            pods.env_from_secret("ME_CONFIG_SITE_SESSIONSECRET", secret, "session-secret"),
            pods.env("PORT", str(MONGO_EXPRESS.number)),
        ],
        resources=_RESOURCES.args(),
        security_context=pods.restricted_container(),
        volume_mounts=[pods.scratch_mount()],
        startup_probe=pods.tcp_probe(MONGO_EXPRESS, period=3, failures=60),
        liveness_probe=pods.tcp_probe(MONGO_EXPRESS),
        readiness_probe=pods.tcp_probe(MONGO_EXPRESS, period=5),
    )
    Deployment(
        naming.child(name, "deployment"),
        metadata=ObjectMetaArgs(name=name, namespace=namespace, labels=labels),
        spec=DeploymentSpecArgs(
            replicas=1,
            selector=LabelSelectorArgs(match_labels=selector),
            template=PodTemplateSpecArgs(
                metadata=ObjectMetaArgs(labels=labels),
                spec=PodSpecArgs(
                    containers=[container],
                    automount_service_account_token=False,
                    enable_service_links=False,
                    security_context=pods.restricted_pod(),
                    volumes=[pods.scratch_volume()],
                ),
            ),
        ),
        opts=owner.child_options(),
    )
    service = Service(
        naming.child(name, "service"),
        metadata=ObjectMetaArgs(name=name, namespace=namespace, labels=labels),
        spec=ServiceSpecArgs(
            selector=selector,
            ports=[ServicePortArgs(name=MONGO_EXPRESS.name, port=SERVICE.number, target_port=MONGO_EXPRESS.name)],
        ),
        opts=owner.child_options(),
    )
    return object_name(service.metadata)
