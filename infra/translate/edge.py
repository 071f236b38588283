"""What the exposure, the certificate, the namespace and the image are given."""

import pulumi

from infra.components.exposure import ExposureArgs, GatewayRef, Route
from infra.components.namespace_guard import ContainerLimits, NamespaceGuardArgs, Quota
from infra.components.tls import AcmeArgs, CertManagerArgs, TlsArgs
from infra.config import StackConfig
from infra.config.cluster import ImageConfig, NamespaceConfig
from infra.config.exposure import ExposureConfig, TlsConfig
from infra.config.mesh import ServiceMeshConfig
from infra.config.secrets import Secrets
from infra.exposure import TABLE, RateLimit
from infra.image import AppImageArgs

LINKERD_STRICT = {"config.linkerd.io/default-inbound-policy": "all-authenticated"}


def namespace_args(config: NamespaceConfig, mesh: ServiceMeshConfig, *, protect: bool) -> NamespaceGuardArgs:
    quota, limits = config.quota, config.limits
    return NamespaceGuardArgs(
        namespace=config.name,
        create=config.create,
        pod_security=config.pod_security,
        quota=None if quota is None else Quota(**quota.model_dump()),
        limits=None
        if limits is None
        else ContainerLimits(
            default_cpu=limits.default_cpu,
            default_memory=limits.default_memory,
            default_request_cpu=limits.default_cpu_request,
            default_request_memory=limits.default_memory_request,
            max_cpu=limits.max_cpu,
            max_memory=limits.max_memory,
        ),
        annotations=LINKERD_STRICT if mesh.kind == "linkerd" and mesh.strict_mtls else {},
        protect=protect,
    )


def tls_args(
    config: TlsConfig, exposure: ExposureConfig, *, namespace: pulumi.Input[str], hosts: tuple[str, ...]
) -> TlsArgs | None:
    """None where nothing is encrypted by the stack."""
    if config.mode == "none" or not hosts:
        return None
    manager = config.install_cert_manager
    return TlsArgs(
        namespace=namespace,
        mode=config.mode,
        hosts=hosts,
        secret_name=config.secret_name,
        issuer_kind=config.issuer_kind,
        issuer_name=config.issuer_name,
        acme=None
        if config.email is None
        else AcmeArgs(
            email=config.email,
            directory_url=config.directory_url,
            ca_bundle=config.ca_bundle,
            solver_class=config.solver_class or exposure.class_name or TABLE[exposure.profile].class_name,
            solver_gateway=None if config.solver_class else _gateway(exposure),
        ),
        ca_secret=config.ca_secret,
        cert_manager=None if manager is None else CertManagerArgs(version=manager.version, namespace=manager.namespace),
        wait_seconds=config.wait_seconds,
    )


def exposure_args(
    config: ExposureConfig,
    *,
    namespace: pulumi.Input[str],
    routes: tuple[Route, ...],
    tls_secret: pulumi.Input[str] | None,
) -> ExposureArgs:
    rate = config.rate_limit
    return ExposureArgs(
        namespace=namespace,
        profile=config.profile,
        routes=routes,
        host=config.host,
        class_name=config.class_name,
        tls_secret=tls_secret,
        timeout_seconds=config.timeout_seconds,
        idle_timeout_seconds=config.idle_timeout_seconds,
        affinity_seconds=config.affinity_seconds,
        body_size=config.body_size,
        rate_limit=None
        if rate is None
        else RateLimit(
            requests_per_second=rate.requests_per_second,
            burst=rate.burst,
        ),
        allow_from=config.allow_from,
        gateway=_gateway(config),
        certificate_arn=config.certificate_arn,
        wait_for_address=config.wait_for_address,
    )


def image_args(config: ImageConfig, secrets: Secrets, *, environment: str) -> AppImageArgs:
    return AppImageArgs(
        strategy=config.strategy,
        repository=config.repository,
        ref=config.ref,
        base_image=config.base_image,
        context=config.context,
        dockerfile=config.dockerfile,
        push=config.push,
        platform=config.platform,
        resolve_tags=environment == "dev",
        username=config.username,
        password=secrets.get("registryPassword"),
    )


def _gateway(config: ExposureConfig) -> GatewayRef | None:
    gateway = config.gateway
    if gateway is None or config.profile != "gatewayApi":
        return None
    return GatewayRef(name=gateway.name, namespace=gateway.namespace, section=gateway.section)


def public_host(config: StackConfig, own: str | None) -> str | None:
    """The host name that clients outside use for a server: its own, or the stack's."""
    return own or config.exposure.host
