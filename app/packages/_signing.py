"""Signatures as registries make them: over plain text by a published key, and over in-toto statements (DSSE)."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from functools import cache
from importlib.resources import files

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key
from cryptography.x509.oid import ExtendedKeyUsageOID, ObjectIdentifier

IN_TOTO = "application/vnd.in-toto+json"
# What reading hostile keys, certificates and times may raise.
BROKEN = (
    ValueError,
    TypeError,
    OverflowError,
    OSError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
# What Sigstore's authority writes into a certificate: who asked for it (in DER, and before that as plain bytes).
_ISSUER = ObjectIdentifier("1.3.6.1.4.1.57264.1.8")
_OLD_ISSUER = ObjectIdentifier("1.3.6.1.4.1.57264.1.1")


class Subject(msgspec.Struct):
    """A file that a statement is about."""

    name: str
    digest: dict[str, str]


class Statement(msgspec.Struct):
    """What an attestation says (in-toto), as far as it is looked at: of which files, and what kind of thing."""

    subject: list[Subject]
    predicateType: str  # noqa: N815 (the format's own names)


def unpadded(text: str) -> bytes:
    """Base64 of a registry. Raises `ValueError`."""
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise ValueError("it has base64 that is none") from None


def public_key(der: bytes) -> ec.EllipticCurvePublicKey:
    """A key of the curve P-256, the only kind that npm publishes. Raises `ValueError`."""
    key = load_der_public_key(der)
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name != "secp256r1":
        raise ValueError("it is no key of the curve P-256")
    return key


def signed_by(key: ec.EllipticCurvePublicKey, signature: bytes, message: bytes) -> bool:
    """Whether a key made a signature (ECDSA with SHA-256)."""
    try:
        key.verify(signature, message, ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True


def pae(kind: str, payload: bytes) -> bytes:
    """What a DSSE envelope's signature is over."""
    return b"DSSEv1 %d %s %d %s" % (len(kind.encode()), kind.encode(), len(payload), payload)


@cache
def authorities() -> tuple[x509.Certificate, ...]:
    """The certificates that Sigstore's public instance issues under."""
    return tuple(x509.load_pem_x509_certificates(files(__package__ or "").joinpath("sigstore.pem").read_bytes()))


def _vouched_for(leaf: x509.Certificate, moment: datetime) -> bool:
    """Whether a chain of authorities, all valid then, leads from a certificate to a root that is known."""
    known = authorities()
    at = leaf
    for _ in known:
        issuer = next((one for one in known if _issued(one, at, moment)), None)
        if issuer is None:
            return False
        if issuer.issuer == issuer.subject:
            return True
        at = issuer
    return False


def _issued(issuer: x509.Certificate, certificate: x509.Certificate, moment: datetime) -> bool:
    if not issuer.not_valid_before_utc <= moment <= issuer.not_valid_after_utc:
        return False
    try:
        certificate.verify_directly_issued_by(issuer)
        return issuer.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (*BROKEN, InvalidSignature, x509.ExtensionNotFound):
        return False


class Certificate:
    """A signer's short-lived certificate, as far as it is looked at: its key, its time, and who it names."""

    def __init__(self, der: bytes) -> None:
        self._loaded = x509.load_der_x509_certificate(der)
        key = self._loaded.public_key()
        if not isinstance(key, ec.EllipticCurvePublicKey):
            raise TypeError("its certificate has no elliptic-curve key")
        self.key = key

    def covers(self, moment: datetime) -> bool:
        """Whether it was valid then."""
        return self._loaded.not_valid_before_utc <= moment <= self._loaded.not_valid_after_utc

    def problem(self, moment: datetime | None = None) -> str:
        """Why it is no certificate for signing by Sigstore's authority, issued and used in its time; empty if it is."""
        leaf = self._loaded
        moment = moment or leaf.not_valid_before_utc
        if not self.covers(moment):
            return "was used when it was not valid"
        try:
            uses = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        except x509.ExtensionNotFound:
            uses = ()
        if ExtendedKeyUsageOID.CODE_SIGNING not in uses:
            return "is not one to sign with"
        if not _vouched_for(leaf, moment):
            return "was not issued by Sigstore's authority (fulcio.sigstore.dev)"
        return ""

    def names(self) -> list[str]:
        """Who it was made out to: for a workflow, its address."""
        try:
            names = self._loaded.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except x509.ExtensionNotFound:
            return []
        return [*names.get_values_for_type(x509.UniformResourceIdentifier), *names.get_values_for_type(x509.RFC822Name)]

    def issuer(self) -> str:
        """Who vouched for that name, as `https://token.actions.githubusercontent.com`."""
        for extension in self._loaded.extensions:
            if extension.oid in (_ISSUER, _OLD_ISSUER) and isinstance(extension.value, x509.UnrecognizedExtension):
                raw = extension.value.value
                # The newer of the two is a UTF8String of DER: a tag and a length come first.
                return (raw[2:] if raw[:1] == b"\x0c" else raw).decode("utf-8", "replace")
        return ""
