"""Volumes for claims: a folder of the node for each, made when the claim is and removed with it.

Runs as a program of the node, for as long as the node is up: `python -m harness.volumes KUBECONFIG FOLDER`.
"""

import shutil
import sys
from pathlib import Path

from harness.api import Api, Object
from harness.enclosure import Enclosure
from harness.follow import keep_doing
from harness.places import KUBECONFIG, NAME
from harness.process import Process, module

CLASS = "standard"
PROVISIONER = "slipway.test/folder"
CLAIMS, VOLUMES = "/api/v1/persistentvolumeclaims", "/api/v1/persistentvolumes"


class Volumes:
    """The default StorageClass and the program that serves it."""

    def __init__(self, enclosure: Enclosure) -> None:
        self._folder = enclosure.state / "volumes"
        self._process = Process("volumes", enclosure)

    def start(self, api: Api) -> None:
        self._folder.mkdir()
        api.apply(
            {
                "apiVersion": "storage.k8s.io/v1",
                "kind": "StorageClass",
                "metadata": {"name": CLASS, "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
                "provisioner": PROVISIONER,
                "reclaimPolicy": "Delete",
                "volumeBindingMode": "Immediate",
                "allowVolumeExpansion": True,
            }
        )
        self._process.start(module(__name__, KUBECONFIG, self._folder))

    def stop(self) -> None:
        self._process.stop()


def sync(api: Api, folder: Path) -> None:
    """Make a volume for every claim that waits for one, and remove those that nobody claims any more."""
    for claim in api.items(CLAIMS):
        if claim["spec"].get("storageClassName") == CLASS and not claim["spec"].get("volumeName"):
            volume = volume_for(claim, folder)
            Path(volume["spec"]["local"]["path"]).mkdir(mode=0o770, exist_ok=True)
            api.apply(volume)
    for volume in api.items(VOLUMES):
        spec = volume["spec"]
        released = volume.get("status", {}).get("phase") == "Released"
        if spec.get("storageClassName") == CLASS and released and spec["persistentVolumeReclaimPolicy"] == "Delete":
            shutil.rmtree(spec["local"]["path"], ignore_errors=True)
            api.delete(f"{VOLUMES}/{volume['metadata']['name']}")


def volume_for(claim: Object, folder: Path) -> Object:
    """A volume as large as asked for, kept for this claim, on this node."""
    meta, spec = claim["metadata"], claim["spec"]
    name = f"volume-{meta['uid']}"
    here = {"key": "kubernetes.io/hostname", "operator": "In", "values": [NAME]}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name, "annotations": {"pv.kubernetes.io/provisioned-by": PROVISIONER}},
        "spec": {
            "storageClassName": CLASS,
            "capacity": {"storage": spec["resources"]["requests"]["storage"]},
            "accessModes": spec["accessModes"],
            "persistentVolumeReclaimPolicy": "Delete",
            # Of this kind the kubelet gives the pod's group the files.
            "local": {"path": str(folder / name)},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [here]}]}},
            "claimRef": {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "name": meta["name"],
                "namespace": meta["namespace"],
                "uid": meta["uid"],
            },
        },
    }


if __name__ == "__main__":
    the_api = Api(Path(sys.argv[1]))
    keep_doing(the_api, (CLAIMS, VOLUMES), lambda: sync(the_api, Path(sys.argv[2])))
