"""Who we are to a cluster, and where that was looked for."""

import ssl

import pytest
import yaml

from app.kubernetes import ApiAway
from app.kubernetes.access import Access, NoAccess, log_in, of_kubeconfig, of_pod
from app.kubernetes.client import Client


@pytest.fixture
def kubeconfig(tmp_path):
    """Writes a file with one cluster and one user."""

    def write(server="https://10.0.0.1:6443", **cluster):
        file = tmp_path / "config"
        content = {
            "current-context": "here",
            "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me"}}],
            "clusters": [{"name": "here", "cluster": {"server": server, **cluster}}],
            "users": [{"name": "me", "user": {"token": "secret"}}],
        }
        file.write_text(yaml.safe_dump(content))
        return file

    return write


async def test_a_file_is_read_and_its_token_is_never_shown(kubeconfig):
    access = await of_kubeconfig(kubeconfig("https://10.0.0.1:6443/"))
    assert access.server == "https://10.0.0.1:6443"
    assert access.headers() == {"authorization": "Bearer secret"}
    assert access.tls().verify_mode is ssl.CERT_REQUIRED
    assert "secret" not in repr(access)


async def test_who_answers_is_not_checked_only_where_the_file_says_so(kubeconfig):
    access = await of_kubeconfig(kubeconfig(**{"insecure-skip-tls-verify": True}))
    assert access.tls().verify_mode is ssl.CERT_NONE


async def test_a_file_that_is_given_wins_over_the_account_of_a_pod(kubeconfig):
    access = await log_in(kubeconfig("http://10.0.0.1:8080"), {"KUBERNETES_SERVICE_HOST": "10.96.0.1"})
    assert access.server == "http://10.0.0.1:8080"
    assert access.tls() is None


def test_a_pod_speaks_to_its_cluster_with_its_own_token(tmp_path):
    (tmp_path / "token").write_text("mine\n")
    access = of_pod({"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT_HTTPS": "6443"}, tmp_path)
    assert access == Access(server="https://[fd00::1]:6443", token="mine", ca_file=str(tmp_path / "ca.crt"))


async def test_a_file_that_is_not_there_is_named_and_means_that_the_cluster_is_away(tmp_path):
    missing = tmp_path / "none"
    with pytest.raises(NoAccess, match=str(missing)):
        await of_kubeconfig(missing)
    client = Client(lambda: of_kubeconfig(missing), manager="test")
    with pytest.raises(ApiAway, match="set KUBECONFIG"):
        await client.request("GET", "/api", attempts=1)
