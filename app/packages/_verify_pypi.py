"""PyPI: attestations of a file (PEP 740), as its integrity API serves them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from app.packages._signing import BROKEN, IN_TOTO, Certificate, Statement, pae, signed_by, unpadded
from app.packages.facts import Release

_KINDS = ("https://docs.pypi.org/attestations/publish/v1", "https://slsa.dev/provenance/v1")
# Which certificate issuer belongs to which kind of publisher.
_ISSUERS = {
    "GitHub": "https://token.actions.githubusercontent.com",
    "GitLab": "https://gitlab.com",
    "Google": "https://accounts.google.com",
}


class _Entry(msgspec.Struct):
    integratedTime: str | int | None = None  # noqa: N815 (the format's own names)


class _Material(msgspec.Struct):
    certificate: str
    transparency_entries: list[_Entry] = []


class _Envelope(msgspec.Struct):
    statement: str
    signature: str


class _Attestation(msgspec.Struct):
    verification_material: _Material
    envelope: _Envelope


class _Bundle(msgspec.Struct):
    publisher: dict[str, Any]
    attestations: list[_Attestation]


class _Provenance(msgspec.Struct):
    attestation_bundles: list[_Bundle] = []


def verify_pypi(name: str, release: Release, body: bytes) -> tuple[list[str], list[str]]:
    """What holds and what does not, each as a sentence."""
    what = f"pypi:{name} {release.version}"
    try:
        bundles = msgspec.json.decode(body, type=_Provenance).attestation_bundles
    except msgspec.DecodeError as error:
        return [], [f"{what}: its attestations cannot be read: {error}"]
    checked: list[str] = []
    wrong: list[str] = []
    for bundle in bundles:
        for attestation in bundle.attestations:
            try:
                good, problem = _attestation(release, bundle.publisher, attestation)
            except (*BROKEN, msgspec.DecodeError) as error:
                good, problem = "", f"an attestation cannot be read: {error}"
            (wrong if problem else checked).append(f"{what}: {problem or good}")
    if not checked and not wrong:
        wrong.append(f"{what}: its index serves provenance without an attestation")
    return checked, wrong


def _attestation(release: Release, publisher: dict[str, Any], attestation: _Attestation) -> tuple[str, str]:
    payload = unpadded(attestation.envelope.statement)
    statement = msgspec.json.decode(payload, type=Statement)
    digest = (release.integrity or "").removeprefix("sha256:")
    if statement.predicateType not in _KINDS:
        return "", f"it is attested as {statement.predicateType[:80]!r}, which is not known here"
    if not any(item.name == release.file and item.digest.get("sha256") == digest for item in statement.subject):
        return "", "its attestation is of another file"
    certificate = Certificate(unpadded(attestation.verification_material.certificate))
    if not signed_by(certificate.key, unpadded(attestation.envelope.signature), pae(IN_TOTO, payload)):
        return "", "its attestation is not signed by the certificate that comes with it"
    times = [entry.integratedTime for entry in attestation.verification_material.transparency_entries]
    logged = [datetime.fromtimestamp(int(time), UTC) for time in times if time]
    for moment in logged or (None,):
        if problem := certificate.problem(moment):
            return "", f"the certificate that its attestation is signed with {problem}"
    kind, who = str(publisher.get("kind", "")), str(publisher.get("repository") or publisher.get("email") or "")
    if problem := _publisher(certificate, kind, who):
        return "", problem
    return (
        f"its file is attested by {kind} {who}, as the certificate and the index both say "
        "(the transparency log is not looked into)"
    ), ""


def _publisher(certificate: Certificate, kind: str, who: str) -> str:
    """Whether the certificate names whom the index names as the publisher."""
    names = certificate.names()
    hosts = {"GitHub": f"https://github.com/{who}/", "GitLab": f"https://gitlab.com/{who}//"}
    expected = hosts.get(kind)
    fits = any(name == who for name in names) if expected is None else any(name.startswith(expected) for name in names)
    if not fits or not who or (expected is not None and "/" not in who):
        return f"its index names {kind} {who or 'nobody'} as the publisher, and the certificate {', '.join(names)}"
    if kind in _ISSUERS and certificate.issuer() != _ISSUERS[kind]:
        return f"its certificate was vouched for by {certificate.issuer() or 'nobody'}, not by {_ISSUERS[kind]}"
    return ""
