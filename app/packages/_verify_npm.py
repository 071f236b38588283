"""npm: the registry's signature on a version, and its attestations."""

from __future__ import annotations

from datetime import datetime
from urllib.parse import quote

import msgspec

from app.packages._signing import (
    BROKEN,
    IN_TOTO,
    Certificate,
    Statement,
    Subject,
    pae,
    public_key,
    signed_by,
    unpadded,
)
from app.packages.facts import Release

_PUBLISHED_BY_NPM = "https://github.com/npm/attestation/"


class _Key(msgspec.Struct):
    keyid: str
    key: str
    expires: str | None = None


class _Keys(msgspec.Struct):
    keys: list[_Key] = []


class _DsseSignature(msgspec.Struct):
    sig: str
    keyid: str = ""


class _Envelope(msgspec.Struct):
    payload: str
    payloadType: str  # noqa: N815 (the format's own names)
    signatures: list[_DsseSignature]


class _Raw(msgspec.Struct):
    rawBytes: str  # noqa: N815


class _Chain(msgspec.Struct):
    certificates: list[_Raw] = []


class _Material(msgspec.Struct):
    certificate: _Raw | None = None
    x509CertificateChain: _Chain | None = None  # noqa: N815


class _Bundle(msgspec.Struct):
    dsseEnvelope: _Envelope  # noqa: N815
    verificationMaterial: _Material = msgspec.field(default_factory=_Material)  # noqa: N815


class _Attestation(msgspec.Struct):
    predicateType: str  # noqa: N815
    bundle: _Bundle


class _Attestations(msgspec.Struct):
    attestations: list[_Attestation] = []


def verify_npm(name: str, release: Release, keys: bytes, attestations: bytes | None) -> tuple[list[str], list[str]]:
    """What holds and what does not, each as a sentence."""
    checked: list[str] = []
    wrong: list[str] = []
    what = f"npm:{name} {release.version}"
    try:
        known = {key.keyid: key for key in msgspec.json.decode(keys, type=_Keys).keys}
    except msgspec.DecodeError as error:
        return [], [f"{what}: the registry's keys cannot be read: {error}"]
    if release.signatures:
        problem = _registry_signature(name, release, known)
        if problem:
            wrong.append(f"{what}: {problem}")
        else:
            checked.append(f"{what}: the registry signed this name, version and integrity (ECDSA P-256, its own key)")
    if attestations is not None:
        try:
            said = msgspec.json.decode(attestations, type=_Attestations).attestations
        except msgspec.DecodeError as error:
            return checked, [*wrong, f"{what}: its attestations cannot be read: {error}"]
        for attestation in said:
            good, problem = _attestation(name, release, attestation, known)
            (wrong if problem else checked).append(f"{what}: {problem or good}")
        if not said:
            wrong.append(f"{what}: its registry says that there are attestations, and serves none")
    return checked, wrong


def _registry_signature(name: str, release: Release, known: dict[str, _Key]) -> str:
    if not release.integrity:
        return "it is signed, and has no integrity that the signature could be over"
    message = f"{name}@{release.version}:{release.integrity}".encode()
    problem = ""
    for signature in release.signatures:
        key = known.get(signature.keyid)
        if key is None:
            problem = f"it is signed by {signature.keyid[:60]}, which is no key of this registry"
            continue
        try:
            problem = _key_time(key, release) or (
                ""
                if signed_by(public_key(unpadded(key.key)), unpadded(signature.sig), message)
                else "its signature does not fit its name, version and integrity: it may have been tampered with"
            )
        except BROKEN as error:
            problem = f"its signature cannot be read: {error}"
        if not problem:
            return ""
    return problem


def _key_time(key: _Key, release: Release) -> str:
    """An expired key still vouches for what was published before."""
    if key.expires is None:
        return ""
    if release.published is None:
        return "it is signed by an expired key, and when it was published is not known"
    if _moment(release.published) >= _moment(key.expires):
        return f"it is signed by a key that had expired on {key.expires}"
    return ""


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} is a time without its zone")
    return moment


def _attestation(name: str, release: Release, attestation: _Attestation, known: dict[str, _Key]) -> tuple[str, str]:
    """What one attestation shows, or what is wrong with it."""
    envelope = attestation.bundle.dsseEnvelope
    kind = attestation.predicateType
    try:
        payload = unpadded(envelope.payload)
        statement = msgspec.json.decode(payload, type=Statement)
        message = pae(envelope.payloadType, payload)
        if envelope.payloadType != IN_TOTO or statement.predicateType != kind:
            return "", f"the attestation {kind[:80]!r} holds something else"
        if not any(_is_of(subject, name, release) for subject in statement.subject):
            return "", f"the attestation {kind[:80]!r} is of another package, version or tarball"
        if kind.startswith(_PUBLISHED_BY_NPM):
            keys = [public_key(unpadded(known[sig.keyid].key)) for sig in envelope.signatures if sig.keyid in known]
            if any(signed_by(key, unpadded(sig.sig), message) for key in keys for sig in envelope.signatures):
                return "the registry attests that it was published, with this digest (signed by its own key)", ""
            return "", "the registry's own attestation is not signed by one of its keys"
        return _provenance(attestation.bundle, message)
    except (*BROKEN, msgspec.DecodeError) as error:
        return "", f"the attestation {kind[:80]!r} cannot be read: {error}"


def _provenance(bundle: _Bundle, message: bytes) -> tuple[str, str]:
    material = bundle.verificationMaterial
    chain = material.x509CertificateChain.certificates if material.x509CertificateChain else []
    leaf = material.certificate or (chain[0] if chain else None)
    if leaf is None:
        return "", "its provenance has no certificate of who signed it"
    certificate = Certificate(unpadded(leaf.rawBytes))
    if not any(signed_by(certificate.key, unpadded(sig.sig), message) for sig in bundle.dsseEnvelope.signatures):
        return "", "its provenance is not signed by the certificate that comes with it"
    if problem := certificate.problem():
        return "", f"the certificate that its provenance is signed with {problem}"
    names = ", ".join(certificate.names()) or "nobody"
    return (
        f"its provenance is of this tarball, signed by {names}, for whom Sigstore's authority vouched "
        "(the transparency log is not looked into)"
    ), ""


def _is_of(subject: Subject, name: str, release: Release) -> bool:
    purl = f"pkg:npm/{quote(name, safe='/')}@{release.version}"
    digest = subject.digest.get("sha512", "")
    try:
        ours = {unpadded(part[7:]).hex() for part in (release.integrity or "").split() if part.startswith("sha512-")}
    except ValueError:
        return False
    return subject.name == purl and digest in ours
