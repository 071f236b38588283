"""The kubelet and kube-proxy: pods on this machine, and the rules that make Services reach them."""

import shutil
import subprocess
from pathlib import Path

import yaml

from build import Tool
from certificates import Authority
from control_plane import API_URL, NODE_ADDRESS, POD_RANGE
from process import Process
from runtime import unmount_below

NODE = "slipway-test-node"
CLUSTER_DNS = "10.96.0.10"


class Kubelet:
    """One node, with just what pods need."""

    def __init__(self, run: Path, authority: Authority, socket: Path) -> None:
        self._run = run
        self._authority = authority
        self._socket = socket
        self._root = run / "kubelet"
        self._process = Process("kubelet", run)

    def start(self) -> None:
        certificate, key = self._authority.issue("kubelet", NODE, hosts=(NODE, NODE_ADDRESS))
        kubeconfig = self._authority.kubeconfig(
            self._run / "kubelet.kubeconfig", API_URL, f"system:node:{NODE}", ("system:nodes",)
        )
        config = {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": NODE_ADDRESS,
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": True},
                "x509": {"clientCAFile": str(self._authority.certificate)},
            },
            "authorization": {"mode": "Webhook"},
            "tlsCertFile": str(certificate),
            "tlsPrivateKeyFile": str(key),
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": "/",
            "failCgroupV1": False,
            "failSwapOn": False,
            "enforceNodeAllocatable": [],
            "containerRuntimeEndpoint": f"unix://{self._socket}",
            "clusterDNS": [CLUSTER_DNS],
            "clusterDomain": "cluster.local",
            "resolvConf": str(self._resolver()),
            "maxPods": 200,
            "serializeImagePulls": False,
            "healthzPort": 10248,
            "podLogsDir": str(self._run / "pod-logs"),
            # The machine's disk is shared with caches: its being fuller than usual must not evict a test's pods.
            "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
            "imageGCHighThresholdPercent": 100,
            "imageGCLowThresholdPercent": 99,
            "volumeStatsAggPeriod": "0s",
        }
        path = self._run / "kubelet.yaml"
        path.write_text(yaml.safe_dump(config), encoding="utf-8")
        self._process.start(
            [
                Tool("kubernetes").binary("kubelet"),
                f"--config={path}",
                f"--kubeconfig={kubeconfig}",
                f"--root-dir={self._root}",
                f"--hostname-override={NODE}",
                f"--node-ip={NODE_ADDRESS}",
            ]
        )

    def stop(self) -> None:
        self._process.stop()

    def clean(self) -> None:
        """Undo its mounts, once the runtime has ended every container."""
        unmount_below(self._root)
        shutil.rmtree(self._root, ignore_errors=True)

    def _resolver(self) -> Path:
        """Pods ask the cluster's DNS only; nothing outside is asked for names."""
        path = self._run / "resolv.conf"
        path.write_text("nameserver 127.0.0.1\n", encoding="utf-8")
        return path


class Proxy:
    """kube-proxy with iptables; its chains are taken out again at the end."""

    def __init__(self, run: Path, authority: Authority) -> None:
        self._run = run
        self._authority = authority
        self._process = Process("kube-proxy", run)

    def start(self) -> None:
        kubeconfig = self._authority.kubeconfig(
            self._run / "proxy.kubeconfig", API_URL, "system:kube-proxy", ("system:node-proxier",)
        )
        self._process.start(
            [
                Tool("kubernetes").binary("kube-proxy"),
                f"--kubeconfig={kubeconfig}",
                "--proxy-mode=iptables",
                f"--cluster-cidr={POD_RANGE}",
                f"--hostname-override={NODE}",
                "--conntrack-max-per-core=0",
                "--nodeport-addresses=127.0.0.0/8,10.77.0.1/32",
                "--metrics-bind-address=127.0.0.1:10249",
                "--healthz-bind-address=127.0.0.1:10256",
            ]
        )

    def stop(self) -> None:
        self._process.stop()
        tool = Tool("kubernetes")
        if tool.built:
            subprocess.run([str(tool.binary("kube-proxy")), "--cleanup"], capture_output=True, timeout=60)
