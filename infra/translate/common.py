"""Parts that several components are given alike."""

from collections.abc import Mapping

from infra import ports
from infra.components.app_secrets import AppSecrets
from infra.components.autoscaling import PodMetric, Scaling
from infra.config.common import AutoscalingConfig, BackupConfig, ResourcesConfig, StorageConfig
from infra.pods import Resources, SecretKey
from infra.ports import Port
from infra.storage import Backup, Storage


def http_port(number: int) -> Port:
    """The one port of a program, named alike everywhere so that policies and Services need no number."""
    return Port(name=ports.HTTP.name, number=number)


def resources(config: ResourcesConfig) -> Resources:
    return Resources(
        cpu_request=config.requests.cpu,
        memory_request=config.requests.memory,
        cpu_limit=config.limits.cpu,
        memory_limit=config.limits.memory,
    )


def scaling(config: AutoscalingConfig | None) -> Scaling | None:
    if config is None:
        return None
    return Scaling(
        min_replicas=config.min_replicas,
        max_replicas=config.max_replicas,
        cpu=config.cpu,
        memory=config.memory,
        pod_metrics=tuple(PodMetric(name=metric.name, average=metric.average) for metric in config.pod_metrics),
        scale_down_stabilization_seconds=config.scale_down_stabilization_seconds,
    )


def storage(config: StorageConfig) -> Storage:
    return Storage(size=config.size, storage_class=config.storage_class)


def backup(config: BackupConfig | None) -> Backup | None:
    if config is None:
        return None
    return Backup(
        schedule=config.schedule,
        retention=config.retention,
        storage=Storage() if config.storage is None else storage(config.storage),
        image=config.image,
    )


def secret_environment(names: Mapping[str, str], secrets: AppSecrets) -> dict[str, SecretKey]:
    """Variables whose values are secrets of the stack, by reference."""
    return {variable: secrets.key(key) for variable, key in names.items()}
