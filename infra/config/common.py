"""Config that several kinds of workload share: resources, storage, backups, autoscaling."""

from typing import Annotated

from pydantic import Field

from infra.config.base import Many, Model
from infra.config.values import Cidr, Count, Cpu, Cron, Host, Identifier, Image, Label, Memory, Percent


class ResourceRequests(Model):
    """What the scheduler sets aside for each container."""

    cpu: Cpu = "100m"
    """CPU set aside, e.g. `100m` for a tenth of a core."""
    memory: Memory = "256Mi"
    """Memory set aside, e.g. `256Mi`."""


class ResourceLimits(Model):
    """What each container may use at most."""

    cpu: Cpu = "500m"
    """CPU above which the container is throttled."""
    memory: Memory = "512Mi"
    """Memory above which the container is killed."""


class ResourcesConfig(Model):
    """Requests and limits of each container of a workload."""

    requests: ResourceRequests = ResourceRequests()
    """What the scheduler sets aside for each container."""
    limits: ResourceLimits = ResourceLimits()
    """What each container may use at most."""


class StorageConfig(Model):
    """A persistent volume."""

    size: Memory = "10Gi"
    """Size of the volume. A later change replaces the claim in most clusters: `slipway review` tells."""
    storage_class: Label | None = None
    """StorageClass of the volume; the cluster's default when absent."""


class BackupConfig(Model):
    """A CronJob that copies the data to a volume of its own."""

    schedule: Cron = "0 3 * * *"
    """When to copy, as five cron fields in the cluster's time zone."""
    retention: Count = 7
    """How many copies are kept; the oldest goes first."""
    storage: StorageConfig | None = None
    """The volume that holds the copies. Required: a backup beside its data is none."""
    image: Image | None = None
    """Image with the dump tool; the store's own image when absent."""


class PodMetricConfig(Model):
    """A metric of the pods themselves, served to the autoscaler by a metrics adapter."""

    name: Identifier
    """Name of the metric, e.g. `slipway_sessions_open`."""
    average: Cpu
    """The value per pod that the autoscaler aims at."""


class AutoscalingConfig(Model):
    """A HorizontalPodAutoscaler. Where it exists, it alone decides the number of pods."""

    min_replicas: Count = 2
    """Fewest pods."""
    max_replicas: Count = 10
    """Most pods."""
    cpu: Percent | None = 70
    """Average CPU utilisation aimed at, in percent of the request; `null` to ignore CPU."""
    memory: Percent | None = 80
    """Average memory utilisation aimed at, in percent of the request; `null` to ignore memory."""
    pod_metrics: Many[PodMetricConfig] = ()
    """Metrics of the pods to scale by, besides CPU and memory."""
    scale_down_stabilization_seconds: Annotated[int, Field(ge=0, le=3600)] = 300
    """How long the load must stay low before pods are removed, so that open sessions are not shed by a short lull."""


class AdminConfig(Model):
    """A web page to look into the database, for a few addresses only."""

    image: Image | None = None
    """Image of mongo-express; the platform's default when absent."""
    host: Host | None = None
    """Host name of its own; without one it is reached by port-forward only."""
    allow_from: Many[Cidr] = ()
    """Address ranges that may open it. Required: an admin page open to the world is refused."""
    username: Identifier = "admin"
    """User of the page; its password is the secret `mongodbAdminPassword`, generated when not set."""
