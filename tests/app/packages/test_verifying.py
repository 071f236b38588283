"""Signatures and attestations: what holds, and everything that is forged, expired or of another package."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from app.gateway.pinning import Packages, PinRefused, Wanted
from app.packages import _signing
from app.packages.policy import Policy
from app.packages.verifying import verify

PUBLISH = "https://github.com/npm/attestation/tree/main/specs/publish/v0.1"
SLSA = "https://slsa.dev/provenance/v1"
PYPI_PUBLISH = "https://docs.pypi.org/attestations/publish/v1"
IN_TOTO = "application/vnd.in-toto+json"
GITHUB = "https://token.actions.githubusercontent.com"
WORKFLOW = "https://github.com/acme/server/.github/workflows/release.yml@refs/heads/main"
NOW = datetime(2026, 1, 2, tzinfo=UTC)


def b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


@dataclass
class Signer:
    """A key, and the registry's description of it."""

    keyid: str = "SHA256:ours"
    private: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    may_sign: bool = True

    def sign(self, message: bytes) -> str:
        return b64(self.private.sign(message, ec.ECDSA(hashes.SHA256())))

    def key(self, expires: str | None = None) -> dict[str, Any]:
        der = self.private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return {"keyid": self.keyid, "keytype": "ecdsa-sha2-nistp256", "key": b64(der), "expires": expires}

    def envelope(self, statement: dict[str, Any]) -> tuple[str, str]:
        """A statement and the signature on it, as DSSE says."""
        payload = json.dumps(statement).encode()
        message = b"DSSEv1 %d %s %d %s" % (len(IN_TOTO), IN_TOTO.encode(), len(payload), payload)
        return b64(payload), self.sign(message)

    def certificate(self, workflow: str = WORKFLOW, issuer: str = GITHUB, *, by: Authority | None = None) -> str:
        """Of ten minutes, issued by the authority of the test."""
        said = b"\x0c" + bytes([len(issuer)]) + issuer.encode()
        made = (
            (by or AUTHORITY)
            .builder(self.private)
            .subject_name(x509.Name([]))
            .not_valid_before(NOW)
            .not_valid_after(NOW + timedelta(minutes=10))
            .add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(workflow)]), critical=True)
            .add_extension(x509.UnrecognizedExtension(ObjectIdentifier("1.3.6.1.4.1.57264.1.8"), said), critical=False)
        )
        if self.may_sign:
            made = made.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
        return b64(made.sign((by or AUTHORITY).private, hashes.SHA384()).public_bytes(Encoding.DER))


class Authority:
    """Issues certificates, as Sigstore's does; its own begins and ends when it is told."""

    def __init__(self, began: datetime = NOW - timedelta(days=1), days: int = 400) -> None:
        self.private = ec.generate_private_key(ec.SECP384R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority")])
        made = self.builder(self.private).subject_name(self.name)
        made = made.not_valid_before(began).not_valid_after(began + timedelta(days=days))
        made = made.add_extension(x509.BasicConstraints(ca=True, path_length=1), critical=True)
        self.certificate = made.sign(self.private, hashes.SHA384())

    def builder(self, private: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        return x509.CertificateBuilder(issuer_name=self.name, public_key=private.public_key(), serial_number=7)


AUTHORITY = Authority()


@pytest.fixture(autouse=True)
def trusted(monkeypatch) -> None:
    """The test's authority stands for Sigstore's."""
    monkeypatch.setattr(_signing, "authorities", lambda: (AUTHORITY.certificate,))


class Npm:
    """One signed and attested package in the registry, each part of which a test may spoil."""

    def __init__(self, registry) -> None:
        self.registry = registry
        self.signer = Signer()
        self.manifest = registry.add_npm("@acme/server", "1.0.0")
        self.integrity = self.manifest["dist"]["integrity"]
        self.sign()
        self.publish_keys(self.signer.key())

    def sign(self, signer: Signer | None = None, **changes: str) -> None:
        signer = signer or self.signer
        said = {"name": "@acme/server", "version": "1.0.0", "integrity": self.integrity, **changes}
        message = f"{said['name']}@{said['version']}:{said['integrity']}".encode()
        self.manifest["dist"]["signatures"] = [{"keyid": signer.keyid, "sig": signer.sign(message)}]

    def publish_keys(self, *keys: dict[str, Any]) -> None:
        self.registry.answers["/-/npm/v1/keys"] = (200, json.dumps({"keys": keys}).encode(), "application/json")

    def attest(self, kind: str = PUBLISH, signer: Signer | None = None, material: Any = None, **subject: Any) -> None:
        digest = base64.b64decode(self.integrity.removeprefix("sha512-")).hex()
        said = {"name": "pkg:npm/%40acme/server@1.0.0", "digest": {"sha512": digest}, **subject}
        signer = signer or self.signer
        payload, sig = signer.envelope({"subject": [said], "predicateType": kind, "predicate": {}})
        bundle = {
            "dsseEnvelope": {
                "payload": payload,
                "payloadType": IN_TOTO,
                "signatures": [{"sig": sig, "keyid": signer.keyid}],
            },
            "verificationMaterial": material or {},
        }
        self.manifest["dist"]["attestations"] = {"url": f"{self.registry.url}-/npm/v1/attestations/x"}
        body = json.dumps({"attestations": [{"predicateType": kind, "bundle": bundle}]}).encode()
        path = "/-/npm/v1/attestations/@acme/server@1.0.0"
        self.registry.answers[path] = (200, body, "application/json")


@pytest.fixture
def npm(registry) -> Npm:
    return Npm(registry)


@pytest.fixture
def look(shelf):
    async def look(ecosystem="npm", name="@acme/server", version="1.0.0"):
        return await verify(ecosystem, name, await shelf.release(ecosystem, name, version), shelf.npm, shelf.pypi)

    return look


async def test_the_registrys_signature_holds(npm, look):
    found = await look()
    assert (found.holds, len(found.checked), found.told()) == (True, 1, [])
    assert "the registry signed this name, version and integrity" in found.checked[0]


@pytest.mark.parametrize("changed", [{"name": "@acme/other"}, {"version": "1.0.1"}, {"integrity": "sha512-AAAA"}])
async def test_a_signature_of_something_else_does_not_hold(npm, look, changed):
    npm.sign(**changed)
    found = await look()
    assert not found.holds
    assert "it may have been tampered with" in found.wrong[0]


async def test_a_forger_who_uses_the_registrys_key_id_is_found_out(npm, look):
    npm.sign(Signer())
    assert "it may have been tampered with" in (await look()).wrong[0]


async def test_a_signature_by_a_key_of_nobody_does_not_hold(npm, look):
    npm.sign(Signer("SHA256:theirs"))
    assert "SHA256:theirs, which is no key of this registry" in (await look()).wrong[0]


async def test_an_expired_key_vouches_for_what_was_published_before_and_for_nothing_after(npm, look, make_shelf):
    npm.publish_keys(npm.signer.key(expires="2027-01-01T00:00:00Z"))
    assert (await look()).holds
    npm.publish_keys(npm.signer.key(expires="2025-01-01T00:00:00Z"))
    found = await look()
    assert not found.holds
    assert "by a key that had expired on 2025-01-01T00:00:00Z" in found.wrong[0]


async def test_one_good_signature_of_several_is_enough(npm, look):
    npm.manifest["dist"]["signatures"].insert(0, {"keyid": "SHA256:old", "sig": "AAAA"})
    assert (await look()).holds


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        (b"{", "the registry's keys cannot be read"),
        (b'{"keys": [{"keyid": "SHA256:ours", "key": "?"}]}', "its signature cannot be read"),
        (b'{"keys": [{"keyid": "SHA256:ours", "key": "AAAA"}]}', "its signature cannot be read"),
        (b'{"keys": [{"keyid": "SHA256:ours", "key": "AAAA", "expires": "soon"}]}', "its signature cannot be read"),
    ],
)
async def test_keys_that_are_none_are_told(npm, look, keys, told):
    npm.registry.answers["/-/npm/v1/keys"] = (200, keys, "application/json")
    assert told in (await look()).wrong[0]


async def test_what_is_not_signed_is_missing_and_not_wrong(registry, look):
    registry.add_npm("@acme/server", "1.0.0")
    found = await look()
    assert (found.holds, found.wrong) == (False, [])
    assert found.missing == ["npm:@acme/server 1.0.0 is not signed by its registry"]


async def test_a_registry_without_keys_counts_as_missing(npm, look):
    del npm.registry.answers["/-/npm/v1/keys"]
    found = await look()
    assert (found.holds, found.wrong, len(found.missing)) == (False, [], 1)


async def test_the_registrys_attestation_of_the_tarball_holds(npm, look):
    npm.attest()
    found = await look()
    assert (found.holds, len(found.checked)) == (True, 2)


@pytest.mark.parametrize("subject", [{"name": "pkg:npm/other@1.0.0"}, {"digest": {"sha512": "00"}}, {"digest": {}}])
@pytest.mark.parametrize("kind", [PUBLISH, SLSA])
async def test_an_attestation_of_another_tarball_does_not_hold(npm, look, kind, subject):
    npm.attest(kind, material={"certificate": {"rawBytes": npm.signer.certificate()}}, **subject)
    found = await look()
    assert not found.holds
    assert "is of another package, version or tarball" in found.wrong[0]


async def test_an_attestation_that_the_registry_did_not_sign_does_not_hold(npm, look):
    npm.attest(signer=Signer())
    assert "not signed by one of its keys" in (await look()).wrong[0]


async def test_provenance_holds_by_the_certificate_that_signed_it_and_says_what_is_not_checked(npm, look):
    author = Signer()
    npm.attest(SLSA, author, {"certificate": {"rawBytes": author.certificate()}})
    found = await look()
    assert found.holds
    assert f"signed by {WORKFLOW}, for whom Sigstore's authority vouched" in found.checked[1]
    assert "the transparency log is not looked into" in found.checked[1]
    npm.attest(SLSA, author, {"certificate": {"rawBytes": author.certificate(by=Authority())}})
    assert "was not issued by Sigstore's authority" in (await look()).wrong[0]
    npm.attest(SLSA, author, {"certificate": {"rawBytes": Signer().certificate()}})
    assert "not signed by the certificate that comes with it" in (await look()).wrong[0]
    npm.attest(SLSA, author)
    assert "has no certificate" in (await look()).wrong[0]


async def test_attestations_that_cannot_be_read_are_wrong(npm, look):
    npm.attest()
    path = "/-/npm/v1/attestations/@acme/server@1.0.0"
    for body in (b"[", b'{"attestations": []}', b'{"attestations": [{"predicateType": 5}]}'):
        npm.registry.answers[path] = (200, body, "application/json")
        found = await look()
        assert (found.holds, len(found.wrong)) == (False, 1)


class Pypi:
    """One attested file in the index."""

    def __init__(self, registry) -> None:
        self.registry = registry
        self.author = Signer()
        self.entry = registry.add_pypi("acme-server", "1.0")
        self.attest()

    def attest(
        self, *, kind=PYPI_PUBLISH, certificate=None, signer=None, logged=NOW, publisher=None, **subject
    ) -> None:
        said = {"name": self.entry["filename"], "digest": self.entry["hashes"], **subject}
        payload, sig = (signer or self.author).envelope({"subject": [said], "predicateType": kind})
        attestation = {
            "verification_material": {
                "certificate": certificate or self.author.certificate(),
                "transparency_entries": [{"integratedTime": str(int(logged.timestamp()) + 60)}],
            },
            "envelope": {"statement": payload, "signature": sig},
        }
        bundle = {"publisher": publisher or {"kind": "GitHub", "repository": "acme/server"}}
        body = json.dumps({"attestation_bundles": [{**bundle, "attestations": [attestation]}]}).encode()
        path = f"/integrity/acme-server/1.0/{self.entry['filename']}/provenance"
        self.registry.answers[path] = (200, body, "application/json")

    def unfit(self) -> str:
        """A certificate of the same key that is not one to sign with."""
        return Signer(private=self.author.private, may_sign=False).certificate()


@pytest.fixture
def pypi(registry) -> Pypi:
    return Pypi(registry)


async def test_an_attested_file_of_pypi_holds(pypi, look):
    found = await look("pypi", "acme-server", "1.0")
    assert (found.holds, found.told()) == (True, [])
    assert "attested by GitHub acme/server" in found.checked[0]


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda own: {"name": "other-1.0-py3-none-any.whl"}, "is of another file"),
        (lambda own: {"digest": {"sha256": "00" * 32}}, "is of another file"),
        (lambda own: {"signer": Signer()}, "not signed by the certificate that comes with it"),
        (lambda own: {"kind": "https://example.com/other"}, "which is not known here"),
        (lambda own: {"logged": NOW + timedelta(hours=1)}, "was used when it was not valid"),
        (lambda own: {"publisher": {"kind": "GitHub", "repository": "evil/server"}}, "and the certificate"),
        (lambda own: {"publisher": {"kind": "GitHub", "repository": "acme"}}, "and the certificate"),
        (lambda own: {"certificate": own.author.certificate(issuer="https://evil.example")}, "not by https://token"),
        (lambda own: {"certificate": own.author.certificate(by=Authority())}, "not issued by Sigstore's authority"),
        (lambda own: {"certificate": own.unfit()}, "is not one to sign with"),
        (lambda own: {"certificate": "AAAA"}, "cannot be read"),
        (lambda own: {"certificate": "?"}, "cannot be read"),
    ],
)
async def test_an_attestation_of_pypi_that_is_forged_expired_or_of_another_does_not_hold(pypi, look, spoil, told):
    pypi.attest(**spoil(pypi))
    found = await look("pypi", "acme-server", "1.0")
    assert not found.holds
    assert told in found.wrong[0]


async def test_a_file_without_attestations_is_missing_them(registry, look):
    registry.add_pypi("acme-server", "1.0")
    found = await look("pypi", "acme-server", "1.0")
    assert (found.holds, found.wrong, len(found.missing)) == (False, [], 1)


async def test_require_refuses_warn_warns_and_off_asks_for_nothing(npm, shelf):
    npm.sign(Signer())
    packages = Packages(shelf, installer=None)
    wanted = Wanted("npm", "@acme/server", None, None, ())

    async def pin(mode):
        return await packages.pin(wanted, Policy(), mode=mode, run="client")

    with pytest.raises(PinRefused, match=r"verify=require asks for it: .*tampered with"):
        await pin("require")
    assert any("tampered with" in warning for warning in (await pin("warn")).warnings)
    before = len(npm.registry.asked)
    assert (await pin("off")).warnings == []
    assert not [path for path, _ in npm.registry.asked[before:] if "keys" in path]


async def test_an_authority_that_was_not_valid_then_vouches_for_nobody(pypi, look, monkeypatch):
    old = Authority(NOW - timedelta(days=900), days=30)
    monkeypatch.setattr(_signing, "authorities", lambda: (old.certificate,))
    pypi.attest(certificate=pypi.author.certificate(by=old))
    assert "was not issued by Sigstore's authority" in (await look("pypi", "acme-server", "1.0")).wrong[0]


def test_the_authorities_that_come_with_the_program_are_sigstores(monkeypatch):
    monkeypatch.undo()
    names = {one.subject.rfc4514_string() for one in _signing.authorities()}
    assert names == {"CN=sigstore,O=sigstore.dev", "CN=sigstore-intermediate,O=sigstore.dev"}
