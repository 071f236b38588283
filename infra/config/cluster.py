"""Where the stack lives and what it runs: the namespace and the image."""

from typing import Literal

from infra.config.base import Model
from infra.config.values import Count, Cpu, Image, Label, Memory, Repository


class QuotaConfig(Model):
    """A ResourceQuota: what all pods of the namespace may ask for together. Absent keys are unlimited."""

    cpu_requests: Cpu | None = None
    """Sum of CPU requests."""
    memory_requests: Memory | None = None
    """Sum of memory requests."""
    cpu_limits: Cpu | None = None
    """Sum of CPU limits."""
    memory_limits: Memory | None = None
    """Sum of memory limits."""
    pods: Count | None = None
    """Number of pods."""
    persistent_volume_claims: Count | None = None
    """Number of volume claims."""


class LimitsConfig(Model):
    """A LimitRange: what a container gets that asks for nothing, and the most that one may ask for."""

    default_cpu: Cpu = "500m"
    """CPU limit of a container that names none."""
    default_memory: Memory = "512Mi"
    """Memory limit of a container that names none."""
    default_cpu_request: Cpu = "50m"
    """CPU request of a container that names none."""
    default_memory_request: Memory = "64Mi"
    """Memory request of a container that names none."""
    max_cpu: Cpu | None = None
    """Highest CPU limit that one container may have."""
    max_memory: Memory | None = None
    """Highest memory limit that one container may have."""


class NamespaceConfig(Model):
    """The namespace that everything is put in, and what it enforces."""

    name: Label = "slipway"
    """Name of the namespace."""
    create: bool = True
    """Whether the stack makes the namespace; `false` when someone else does."""
    pod_security: Literal["restricted", "baseline", "privileged"] = "restricted"
    """The Pod Security Standard that the namespace enforces."""
    quota: QuotaConfig | None = None
    """A ResourceQuota over all pods; none when absent."""
    limits: LimitsConfig | None = None
    """A LimitRange for containers; none when absent."""


class ImageConfig(Model):
    """The image that every role of the platform runs, and how it comes to be."""

    strategy: Literal["published", "build", "auto"] = "auto"
    """`published` takes `ref`; `build` builds the Dockerfile; `auto` takes the published, the local, or builds."""
    repository: Repository = "slipway"
    """Where a built image is pushed, without tag, e.g. `registry.acme.io/acme/slipway`."""
    ref: Image | None = None
    """The published image. Outside dev it carries a digest: `repo/name@sha256:…`."""
    base_image: Image | None = None
    """Base image given to the build; the Dockerfile's own when absent."""
    context: str = "."
    """Build context, relative to the project."""
    dockerfile: str = "app/Dockerfile"
    """Dockerfile, relative to the project."""
    push: bool = True
    """Whether a built image is pushed; `false` for a cluster that shares this machine's images. Previews never push."""
    platform: Literal["linux/amd64", "linux/arm64"] | None = None
    """Platform to build for; this machine's when absent."""
    username: str | None = None
    """User of the registry that is pushed to, with the secret `registryPassword`; docker's own login when absent."""
    pull_secret: Label | None = None
    """Name of an existing Secret of type dockerconfigjson, for a private registry."""
