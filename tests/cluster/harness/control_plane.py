"""etcd, the API server, the controllers and the scheduler, as processes on this machine."""

import ssl
import urllib.error
import urllib.request
from pathlib import Path

from harness.build import Tool
from harness.certificates import Authority
from harness.enclosure import NODE_ADDRESS, POD_RANGE, SERVICE_RANGE, Enclosure
from harness.process import Process

API_PORT = 6443
ETCD_CLIENT, ETCD_PEER = "http://127.0.0.1:2379", "http://127.0.0.1:2380"
KUBERNETES_SERVICE = "10.96.0.1"
API_URL = f"https://{NODE_ADDRESS}:{API_PORT}"


class ControlPlane:
    """What every Kubernetes cluster has, in its smallest form."""

    def __init__(self, enclosure: Enclosure, authority: Authority) -> None:
        self._enclosure = enclosure
        self._run = enclosure.run
        self._authority = authority
        self._kubernetes = Tool("kubernetes")
        self._etcd = Process("etcd", enclosure)
        self._api = Process("kube-apiserver", enclosure)
        self._controllers = Process("kube-controller-manager", enclosure)
        self._scheduler = Process("kube-scheduler", enclosure)

    def start(self) -> None:
        self._start_etcd()
        account_key = self._authority.service_account_key()
        self._start_api(account_key)
        self._start_controllers(account_key)
        kubeconfig = self._authority.kubeconfig(self._run / "scheduler.kubeconfig", API_URL, "system:kube-scheduler")
        self._scheduler.start(
            [
                self._kubernetes.binary("kube-scheduler"),
                f"--kubeconfig={kubeconfig}",
                "--leader-elect=false",
                "--bind-address=127.0.0.1",
            ]
        )

    def stop(self) -> None:
        for process in (self._scheduler, self._controllers, self._api, self._etcd):
            process.stop()

    def _start_etcd(self) -> None:
        self._etcd.start(
            [
                Tool("etcd").binary("etcd"),
                f"--data-dir={self._enclosure.state / 'etcd'}",
                f"--listen-client-urls={ETCD_CLIENT}",
                f"--advertise-client-urls={ETCD_CLIENT}",
                f"--listen-peer-urls={ETCD_PEER}",
                f"--initial-advertise-peer-urls={ETCD_PEER}",
                f"--initial-cluster=default={ETCD_PEER}",
                # A test cluster survives no power cut, and its disk is slow.
                "--unsafe-no-fsync",
            ]
        )
        self._etcd.wait(lambda: "ready to serve client requests" in self._etcd.tail(200))

    def _start_api(self, account_key: Path) -> None:
        hosts = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", "localhost", "127.0.0.1")
        certificate, key = self._authority.issue(
            "api", "kube-apiserver", hosts=(*hosts, NODE_ADDRESS, KUBERNETES_SERVICE)
        )
        kubelet_certificate, kubelet_key = self._authority.issue("api-kubelet", "kube-apiserver", ("system:masters",))
        self._api.start(
            [
                self._kubernetes.binary("kube-apiserver"),
                f"--etcd-servers={ETCD_CLIENT}",
                "--bind-address=0.0.0.0",
                f"--advertise-address={NODE_ADDRESS}",
                f"--secure-port={API_PORT}",
                f"--client-ca-file={self._authority.certificate}",
                f"--tls-cert-file={certificate}",
                f"--tls-private-key-file={key}",
                f"--kubelet-certificate-authority={self._authority.certificate}",
                f"--kubelet-client-certificate={kubelet_certificate}",
                f"--kubelet-client-key={kubelet_key}",
                "--kubelet-preferred-address-types=InternalIP",
                f"--service-account-key-file={account_key}",
                f"--service-account-signing-key-file={account_key}",
                "--service-account-issuer=https://kubernetes.default.svc",
                f"--service-cluster-ip-range={SERVICE_RANGE}",
                "--authorization-mode=Node,RBAC",
                "--enable-admission-plugins=NodeRestriction",
                "--allow-privileged=true",
                # The aggregation layer, for the metrics API: the front proxy proves itself with the same authority.
                f"--requestheader-client-ca-file={self._authority.certificate}",
                "--requestheader-allowed-names=",
                "--requestheader-username-headers=X-Remote-User",
                "--requestheader-group-headers=X-Remote-Group",
                "--requestheader-extra-headers-prefix=X-Remote-Extra-",
                f"--proxy-client-cert-file={kubelet_certificate}",
                f"--proxy-client-key-file={kubelet_key}",
                "--enable-aggregator-routing=true",
            ]
        )
        context = ssl.create_default_context(cafile=str(self._authority.certificate))
        context.load_cert_chain(kubelet_certificate, kubelet_key)
        self._api.wait(lambda: _answers(f"{API_URL}/readyz", context), seconds=60)

    def _start_controllers(self, account_key: Path) -> None:
        kubeconfig = self._authority.kubeconfig(
            self._run / "controllers.kubeconfig", API_URL, "system:kube-controller-manager"
        )
        self._controllers.start(
            [
                self._kubernetes.binary("kube-controller-manager"),
                f"--kubeconfig={kubeconfig}",
                "--leader-elect=false",
                "--bind-address=127.0.0.1",
                "--use-service-account-credentials=true",
                f"--service-account-private-key-file={account_key}",
                f"--root-ca-file={self._authority.certificate}",
                f"--cluster-cidr={POD_RANGE}",
                "--allocate-node-cidrs=false",
                # Tests wait for the autoscaler and for evictions: the same decisions, sooner.
                "--horizontal-pod-autoscaler-sync-period=5s",
                "--horizontal-pod-autoscaler-downscale-stabilization=30s",
                "--horizontal-pod-autoscaler-cpu-initialization-period=20s",
                "--horizontal-pod-autoscaler-initial-readiness-delay=5s",
            ]
        )


def _answers(url: str, context: ssl.SSLContext | None = None) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2, context=context) as response:
            return response.status == 200
    except (urllib.error.URLError, OSError):
        return False
