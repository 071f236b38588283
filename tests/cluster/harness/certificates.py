"""The certificates of the test node: one authority, and what each program proves itself with."""

import base64
import datetime
import ipaddress
from collections.abc import Sequence
from pathlib import Path

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LIFETIME = datetime.timedelta(days=30)


class Authority:
    """Signs certificates into a folder: `ca.crt`, and `<name>.crt` with `<name>.key`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("slipway-test-node")
        builder = _builder(self._name, self._name, self._key.public_key())
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=1), critical=True)
        self._certificate = builder.sign(self._key, hashes.SHA256())
        self._write("ca", self._certificate, self._key)

    @property
    def certificate(self) -> Path:
        return self.folder / "ca.crt"

    def issue(
        self, name: str, subject: str, groups: Sequence[str] = (), hosts: Sequence[str] = ()
    ) -> tuple[Path, Path]:
        """A certificate for `subject`, good as a client's and, with `hosts`, as a server's."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(_name(subject, groups), self._name, key.public_key())
        usages = [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        if hosts:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([_host(host) for host in hosts]), critical=False
            )
        return self._write(name, builder.sign(self._key, hashes.SHA256()), key)

    def service_account_key(self) -> Path:
        """The key that signs the tokens of pods."""
        path = self.folder / "service-accounts.key"
        path.write_bytes(_pem(rsa.generate_private_key(public_exponent=65537, key_size=2048)))
        return path

    def kubeconfig(self, path: Path, server: str, subject: str, groups: Sequence[str] = ()) -> Path:
        """A kubeconfig with a certificate of its own."""
        certificate, key = self.issue(f"client-{path.stem}", subject, groups)
        data = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {"name": "test", "cluster": {"server": server, "certificate-authority-data": _base64(self.certificate)}}
            ],
            "users": [
                {
                    "name": subject,
                    "user": {"client-certificate-data": _base64(certificate), "client-key-data": _base64(key)},
                }
            ],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": subject}}],
            "current-context": "test",
        }
        path.write_text(yaml.safe_dump(data), encoding="utf-8")
        path.chmod(0o600)
        return path

    def _write(self, name: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> tuple[Path, Path]:
        paths = self.folder / f"{name}.crt", self.folder / f"{name}.key"
        paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        paths[1].write_bytes(_pem(key))
        paths[1].chmod(0o600)
        return paths


def _pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )


def _name(subject: str, groups: Sequence[str] = ()) -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    return x509.Name([*attributes, x509.NameAttribute(NameOID.COMMON_NAME, subject)])


def _host(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + LIFETIME)
    )


def _base64(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
