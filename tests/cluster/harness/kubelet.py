"""The kubelet and kube-proxy: pods on this machine, and the rules that make Services reach them."""

from collections.abc import Callable
from pathlib import Path

import yaml

from harness.build import Tool
from harness.certificates import Authority
from harness.control_plane import API_URL
from harness.enclosure import NODE_ADDRESS, POD_RANGE, Enclosure
from harness.places import NAME
from harness.process import Process

CLUSTER_DNS = "10.96.0.10"


class Kubelet:
    """One node, with just what pods need."""

    def __init__(self, enclosure: Enclosure, authority: Authority, socket: Path) -> None:
        self._enclosure = enclosure
        self._authority = authority
        self._socket = socket
        self._process = Process("kubelet", enclosure)

    def start(self) -> None:
        run, state = self._enclosure.run, self._enclosure.state
        certificate, key = self._authority.issue("kubelet", NAME, hosts=(NAME, NODE_ADDRESS))
        kubeconfig = self._authority.kubeconfig(
            run / "kubelet.kubeconfig", API_URL, f"system:node:{NAME}", ("system:nodes",)
        )
        resolver = run / "resolv.conf"
        # Nothing outside is asked for names.
        resolver.write_text("nameserver 127.0.0.1\n", encoding="utf-8")
        config = {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": True},
                "x509": {"clientCAFile": str(self._authority.certificate)},
            },
            "authorization": {"mode": "Webhook"},
            "tlsCertFile": str(certificate),
            "tlsPrivateKeyFile": str(key),
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": f"/{NAME}",
            "failCgroupV1": False,
            "failSwapOn": False,
            "enforceNodeAllocatable": [],
            "containerRuntimeEndpoint": f"unix://{self._socket}",
            "clusterDNS": [CLUSTER_DNS],
            "clusterDomain": "cluster.local",
            "resolvConf": str(resolver),
            "maxPods": 200,
            "serializeImagePulls": False,
            "podLogsDir": str(state / "pod-logs"),
            "volumePluginDir": str(state / "volume-plugins"),
            # The machine's disk is shared with caches: its being fuller than usual must not evict a test's pods.
            "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
            "imageGCHighThresholdPercent": 100,
            "imageGCLowThresholdPercent": 99,
            "syncFrequency": "10s",
            "nodeStatusUpdateFrequency": "5s",
            # Probes and restarts of many small pods on two cores.
            "kubeAPIQPS": 100,
            "kubeAPIBurst": 200,
        }
        path = run / "kubelet.yaml"
        path.write_text(yaml.safe_dump(config), encoding="utf-8")
        self._process.start(
            [
                Tool("kubernetes").binary("kubelet"),
                f"--config={path}",
                f"--kubeconfig={kubeconfig}",
                f"--root-dir={state / 'kubelet'}",
                f"--hostname-override={NAME}",
                f"--node-ip={NODE_ADDRESS}",
            ]
        )

    def wait(self, ready: Callable[[], bool]) -> None:
        """Wait until the API server says that the node is ready."""
        self._process.wait(ready, seconds=60)

    def stop(self) -> None:
        self._process.stop()


class Proxy:
    """kube-proxy with iptables, in the node's own network."""

    def __init__(self, enclosure: Enclosure, authority: Authority) -> None:
        self._enclosure = enclosure
        self._authority = authority
        self._process = Process("kube-proxy", enclosure)

    def start(self) -> None:
        kubeconfig = self._authority.kubeconfig(
            self._enclosure.run / "proxy.kubeconfig", API_URL, "system:kube-proxy", ("system:node-proxier",)
        )
        self._process.start(
            [
                Tool("kubernetes").binary("kube-proxy"),
                f"--kubeconfig={kubeconfig}",
                "--proxy-mode=iptables",
                f"--cluster-cidr={POD_RANGE}",
                f"--hostname-override={NAME}",
                "--conntrack-max-per-core=0",
                "--iptables-min-sync-period=100ms",
            ]
        )

    def wait(self) -> None:
        """Wait until Services lead somewhere."""
        self._process.wait(lambda: "KUBE-SERVICES" in self._enclosure.call("iptables-save", "-t", "nat"))

    def stop(self) -> None:
        self._process.stop()
