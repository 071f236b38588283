"""Scripts and configuration that go into the cluster as files: written as files here too, never as Python strings."""

from collections.abc import Sequence
from pathlib import Path

import pulumi
from pulumi_kubernetes.core.v1 import ConfigMap, ConfigMapVolumeSourceArgs, VolumeArgs, VolumeMountArgs
from pulumi_kubernetes.meta.v1 import ObjectMetaArgs

from infra import naming
from infra.component import Component, object_name

FILES = Path(__file__).parent / "files"
_READ_AND_RUN = 0o555


def texts(folder: str, names: Sequence[str]) -> dict[str, str]:
    """The named files of a folder under `files`, by name."""
    return {name: (FILES / folder / name).read_text("utf-8") for name in names}


def file_map(
    owner: Component, part: str, component: str, namespace: pulumi.Input[str], data: dict[str, pulumi.Input[str]]
) -> pulumi.Output[str]:
    """A ConfigMap with a generated name, so that a changed file rolls the pods that mount it. Returns that name."""
    config_map = ConfigMap(
        naming.child(owner.name, part),
        metadata=ObjectMetaArgs(namespace=namespace, labels=naming.labels(owner.name, component)),
        data=data,
        opts=owner.child_options(),
    )
    return object_name(config_map.metadata)


def file_volume(name: str, config_map: pulumi.Input[str]) -> VolumeArgs:
    return VolumeArgs(name=name, config_map=ConfigMapVolumeSourceArgs(name=config_map, default_mode=_READ_AND_RUN))


def file_mount(name: str, path: str) -> VolumeMountArgs:
    return VolumeMountArgs(name=name, mount_path=path, read_only=True)
