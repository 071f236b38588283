"""The small types that config values are made of: quantities, names, addresses, schedules, images, durations."""

import ipaddress
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from infra.config.quantities import CPU_PATTERN, MEMORY_PATTERN
from infra.naming import is_dns_label

_HOST_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_HOST_PATTERN = rf"^(\*\.)?({_HOST_LABEL}\.)+{_HOST_LABEL}$"
_LABEL_PATTERN = rf"^{_HOST_LABEL}$"
_IMAGE_PATTERN = (
    r"^[a-z0-9]+(?:[._-][a-z0-9]+)*(?::[0-9]+)?(?:/[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*)*"
    r"(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?:@sha256:[0-9a-f]{64})?$"
)
_REPOSITORY_PATTERN = r"^[a-z0-9]+(?:[._-][a-z0-9]+)*(?::[0-9]+)?(?:/[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*)*$"
_ENV_PATTERN = r"^[A-Za-z_][A-Za-z0-9_]*$"
_SECRET_KEY_PATTERN = r"^[A-Za-z][A-Za-z0-9]*$"  # noqa: S105 - the shape of a key, not a secret
_VERSION_PATTERN = r"^\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?$"
_DURATION_PATTERN = r"^[1-9]\d*(?:ms|s|m|h)$"
_SIZE_PATTERN = r"^\d+[kmg]?$"
_PATH_PATTERN = r"^/(?:[A-Za-z0-9._~-]+(?:/[A-Za-z0-9._~-]+)*)?$"
_URL_PATTERN = r"^https?://[^\s/$.?#][^\s]*$"
_PACKAGE_PATTERN = r"^(?:@[a-z0-9~-][a-z0-9._~-]*/)?[A-Za-z0-9][A-Za-z0-9._~-]*$"
_PACKAGE_VERSION_PATTERN = r"^[0-9A-Za-z][0-9A-Za-z.+_-]*$"
_ARN_PATTERN = r"^arn:aws[a-z-]*:acm:[^\s]+$"
_BASE64_PATTERN = r"^[A-Za-z0-9+/]+={0,2}$"
_SELECTOR_PATTERN = r"^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$"


def _matching(pattern: str, allowed: str, *, max_length: int = 253) -> Callable[[str], str]:
    expression = re.compile(pattern)

    def check(text: str) -> str:
        if len(text) > max_length or expression.search(text) is None or text.endswith("\n"):
            raise PydanticCustomError("not_allowed", "{allowed}", {"allowed": allowed})
        return text

    return check


def _number_as_text(value: object) -> object:
    """YAML reads `cpu: 2` and `cpu: 0.5` as numbers; Kubernetes and people mean the text."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return format(Decimal(str(value)), "f") if abs(value) < 1e15 else str(value)
    return value


def _plain_as_text(value: object) -> object:
    """Environment values are text; YAML's own `8`, `true` are written as a program would expect them."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return _number_as_text(value)


def _label(text: str) -> str:
    if not is_dns_label(text):
        allowed = "lower-case letters, digits and inner '-', at most 47 characters"
        raise PydanticCustomError("not_allowed", "{allowed}", {"allowed": allowed})
    return text


def _cidr(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text))
    except ValueError:
        allowed = "an address range without host bits, such as 10.0.0.0/8 or 203.0.113.7/32"
        raise PydanticCustomError("not_allowed", "{allowed}", {"allowed": allowed}) from None


_CRON_FIELDS = (("minute", 0, 59), ("hour", 0, 23), ("day of month", 1, 31), ("month", 1, 12), ("day of week", 0, 7))
_CRON_ITEM = re.compile(r"(?:\*|(\d{1,2})(?:-(\d{1,2}))?)(?:/(\d{1,2}))?")


def _cron_item_fits(item: str, low: int, high: int) -> bool:
    match = _CRON_ITEM.fullmatch(item)
    if match is None:
        return False
    first, last, step = (None if group is None else int(group) for group in match.groups())
    bounds = [number for number in (first, last) if number is not None]
    ordered = first is None or last is None or first <= last
    return all(low <= number <= high for number in bounds) and ordered and step != 0


def _cron(text: str) -> str:
    fields = text.split(" ")
    if len(fields) != len(_CRON_FIELDS):
        allowed = "a cron schedule of five fields, such as '0 3 * * *' for 03:00 every day"
        raise PydanticCustomError("not_allowed", "{allowed}", {"allowed": allowed})
    for field, (name, low, high) in zip(fields, _CRON_FIELDS, strict=True):
        if not all(_cron_item_fits(item, low, high) for item in field.split(",")):
            allowed = f"a cron schedule whose {name} is from {low} to {high}, not '{field}'"
            raise PydanticCustomError("not_allowed", "{allowed}", {"allowed": allowed})
    return text


_CPU_ALLOWED = "an amount of CPU such as 500m, 0.5 or 2"
_MEMORY_ALLOWED = "an amount of bytes with a unit, such as 512Mi or 10Gi"

Cpu = Annotated[
    str,
    BeforeValidator(_number_as_text),
    AfterValidator(_matching(CPU_PATTERN, _CPU_ALLOWED, max_length=20)),
    WithJsonSchema({"anyOf": [{"type": "string", "pattern": CPU_PATTERN}, {"type": "number", "exclusiveMinimum": 0}]}),
]
Memory = Annotated[
    str,
    AfterValidator(_matching(MEMORY_PATTERN, _MEMORY_ALLOWED, max_length=20)),
    WithJsonSchema({"type": "string", "pattern": MEMORY_PATTERN}),
]
Label = Annotated[
    str, AfterValidator(_label), WithJsonSchema({"type": "string", "pattern": _LABEL_PATTERN, "maxLength": 47})
]
Host = Annotated[
    str,
    AfterValidator(_matching(_HOST_PATTERN, "a lower-case host name with a dot, such as mcp.acme.io")),
    WithJsonSchema({"type": "string", "pattern": _HOST_PATTERN}),
]
Cidr = Annotated[str, AfterValidator(_cidr)]
Cron = Annotated[str, AfterValidator(_cron)]
_IMAGE_ALLOWED = "an image such as repo/name:tag or repo/name@sha256:<64 hex digits>"
Image = Annotated[
    str,
    AfterValidator(_matching(_IMAGE_PATTERN, _IMAGE_ALLOWED, max_length=512)),
    WithJsonSchema({"type": "string", "pattern": _IMAGE_PATTERN}),
]
Repository = Annotated[
    str,
    AfterValidator(_matching(_REPOSITORY_PATTERN, "a repository without tag or digest, such as ghcr.io/acme/slipway")),
    WithJsonSchema({"type": "string", "pattern": _REPOSITORY_PATTERN}),
]
EnvName = Annotated[
    str,
    AfterValidator(_matching(_ENV_PATTERN, "letters, digits and '_', not starting with a digit")),
    WithJsonSchema({"type": "string", "pattern": _ENV_PATTERN}),
]
EnvValue = Annotated[str, BeforeValidator(_plain_as_text), WithJsonSchema({"type": ["string", "number", "boolean"]})]
SecretKey = Annotated[
    str,
    AfterValidator(_matching(_SECRET_KEY_PATTERN, "the name of a secret: letters and digits, such as braveApiKey")),
    WithJsonSchema({"type": "string", "pattern": _SECRET_KEY_PATTERN}),
]
Version = Annotated[
    str,
    AfterValidator(_matching(_VERSION_PATTERN, "a version in quotes with three parts, such as '1.0.0'")),
    WithJsonSchema({"type": "string", "pattern": _VERSION_PATTERN}),
]
ReleaseTag = Annotated[
    str,
    AfterValidator(_matching("^v" + _VERSION_PATTERN[1:], "a version tag with three parts, such as v1.13.0")),
    WithJsonSchema({"type": "string", "pattern": "^v" + _VERSION_PATTERN[1:]}),
]
Duration = Annotated[
    str,
    AfterValidator(_matching(_DURATION_PATTERN, "a duration with its unit, such as 500ms, 10s or 5m")),
    WithJsonSchema({"type": "string", "pattern": _DURATION_PATTERN}),
]
BodySize = Annotated[
    str,
    AfterValidator(_matching(_SIZE_PATTERN, "a size with k, m or g, such as 8m", max_length=12)),
    WithJsonSchema({"type": "string", "pattern": _SIZE_PATTERN}),
]
UrlPath = Annotated[
    str,
    AfterValidator(_matching(_PATH_PATTERN, "a path that starts with '/' and does not end with one, such as /war")),
    WithJsonSchema({"type": "string", "pattern": _PATH_PATTERN}),
]
Url = Annotated[
    str,
    AfterValidator(_matching(_URL_PATTERN, "a URL that starts with http:// or https://", max_length=2048)),
    WithJsonSchema({"type": "string", "pattern": _URL_PATTERN}),
]
Email = Annotated[
    str,
    AfterValidator(_matching(r"^[^@\s]+@[^@\s]+\.[^@\s]+$", "an e-mail address")),
    WithJsonSchema({"type": "string", "format": "email"}),
]
Identifier = Annotated[
    str,
    AfterValidator(_matching(_SELECTOR_PATTERN, "letters, digits, '-', '_' and '.'", max_length=63)),
    WithJsonSchema({"type": "string", "pattern": _SELECTOR_PATTERN}),
]

PackageName = Annotated[
    str,
    AfterValidator(_matching(_PACKAGE_PATTERN, "a package name such as mcp-server-fetch or @scope/name")),
    WithJsonSchema({"type": "string", "pattern": _PACKAGE_PATTERN}),
]
PackageVersion = Annotated[
    str,
    AfterValidator(_matching(_PACKAGE_VERSION_PATTERN, "one version in quotes, such as '0.6.2'", max_length=64)),
    WithJsonSchema({"type": "string", "pattern": _PACKAGE_VERSION_PATTERN}),
]
CertificateArn = Annotated[
    str,
    AfterValidator(_matching(_ARN_PATTERN, "an ARN that starts with arn:aws:acm:", max_length=300)),
    WithJsonSchema({"type": "string", "pattern": _ARN_PATTERN}),
]
Base64 = Annotated[
    str,
    AfterValidator(_matching(_BASE64_PATTERN, "base64 text of a PEM bundle", max_length=200_000)),
    WithJsonSchema({"type": "string", "pattern": _BASE64_PATTERN}),
]

ContainerPort = Annotated[int, Field(ge=1024, le=65535)]
Count = Annotated[int, Field(ge=1, le=1000)]
Percent = Annotated[int, Field(ge=1, le=100)]
Seconds = Annotated[int, Field(ge=1, le=604_800)]
