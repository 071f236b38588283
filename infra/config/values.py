"""The small types that config values are made of: quantities, names, addresses, schedules, images, durations."""

import ipaddress
import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field, GetCoreSchemaHandler, GetJsonSchemaHandler, WithJsonSchema
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from infra.config.quantities import CPU_PATTERN, MEMORY_PATTERN
from infra.naming import MAX_NAME

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
_PORT_PATTERN = "(?:[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
_REGISTRY_PATTERN = (
    rf"^https?://{_HOST_LABEL}(?:\.{_HOST_LABEL})*(?::{_PORT_PATTERN})?(?:/[A-Za-z0-9._~!&'()*+,;=:@%/-]*)?$"
)
_SCOPE_PATTERN = r"^@[a-z0-9~-][a-z0-9._~-]*$"
# What Basic can carry: anything visible but a colon, which ends the name.
_USERNAME_PATTERN = r"^[!-9;-~]+$"
_PACKAGE_PATTERN = r"^(?:@[a-z0-9~-][a-z0-9._~-]*/)?[A-Za-z0-9][A-Za-z0-9._~-]*$"
_PACKAGE_VERSION_PATTERN = r"^[0-9A-Za-z][0-9A-Za-z.+_-]*$"
_ARN_PATTERN = r"^arn:aws[a-z-]*:acm:[^\s]+$"
_BASE64_PATTERN = r"^[A-Za-z0-9+/]+={0,2}$"
_EMAIL_PATTERN = r"^[^@\s]+@[^@\s]+\.[^@\s]+$"
_ABSOLUTE_PATTERN = r"^(?!.*(?:^|/)\.\.(?:/|$))/.*$"
_LARGEST_NUMBER: Final = 10**15
_SELECTOR_PATTERN = r"^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$"


def not_allowed(allowed: str) -> PydanticCustomError:
    """The error of a value that has the wrong shape; `allowed` says which one is meant."""
    return PydanticCustomError("not_allowed", "{allowed}", {"allowed": allowed})


@dataclass(frozen=True)
class Shape:
    """Text that matches a pattern as a whole. A value of another type is answered with the shape too."""

    pattern: str
    allowed: str
    max_length: int = 253

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self._checked)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": "string", "pattern": self.pattern, "maxLength": self.max_length}

    def _checked(self, value: object) -> str:
        if isinstance(value, str) and len(value) <= self.max_length and re.fullmatch(self.pattern, value):
            return value
        raise not_allowed(self.allowed)


def _number_as_text(value: object) -> object:
    """YAML reads `cpu: 2` and `cpu: 0.5` as numbers; Kubernetes and people mean the text."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return format(Decimal(str(value)), "f") if abs(value) < _LARGEST_NUMBER else str(value)
    return value


def _plain_as_text(value: object) -> object:
    """Environment values are text; YAML's own `8`, `true` are written as a program would expect them."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return _number_as_text(value)


def _cidr(value: object) -> str:
    try:
        return str(ipaddress.ip_network(value if isinstance(value, str) else ""))
    except ValueError:
        allowed = "an address range without host bits, such as 10.0.0.0/8 or 203.0.113.7/32"
        raise not_allowed(allowed) from None


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


def _cron(value: object) -> str:
    fields = value.split(" ") if isinstance(value, str) else []
    if len(fields) != len(_CRON_FIELDS):
        raise not_allowed("a cron schedule of five fields, such as '0 3 * * *' for 03:00 every day")
    for field, (name, low, high) in zip(fields, _CRON_FIELDS, strict=True):
        if not all(_cron_item_fits(item, low, high) for item in field.split(",")):
            raise not_allowed(f"a cron schedule whose {name} is from {low} to {high}, not '{field[:20]}'")
    return " ".join(fields)


Cpu = Annotated[
    str,
    Shape(CPU_PATTERN, "an amount of CPU such as 500m, 0.5 or 2", 20),
    BeforeValidator(_number_as_text),
    WithJsonSchema({"anyOf": [{"type": "string", "pattern": CPU_PATTERN}, {"type": "number", "exclusiveMinimum": 0}]}),
]
Memory = Annotated[str, Shape(MEMORY_PATTERN, "an amount of bytes with a unit, such as 512Mi or 10Gi", 20)]
Label = Annotated[
    str, Shape(_LABEL_PATTERN, "lower-case letters, digits and inner '-', at most 47 characters", MAX_NAME)
]
Host = Annotated[str, Shape(_HOST_PATTERN, "a lower-case host name with a dot, such as mcp.acme.io")]
Cidr = Annotated[str, BeforeValidator(_cidr)]
Cron = Annotated[str, BeforeValidator(_cron)]
Image = Annotated[str, Shape(_IMAGE_PATTERN, "an image such as repo/name:tag or repo/name@sha256:<64 hex digits>", 512)]
Repository = Annotated[
    str, Shape(_REPOSITORY_PATTERN, "a repository without tag or digest, such as registry.acme.io/acme/slipway")
]
EnvName = Annotated[str, Shape(_ENV_PATTERN, "letters, digits and '_', not starting with a digit")]
EnvValue = Annotated[str, BeforeValidator(_plain_as_text), WithJsonSchema({"type": ["string", "number", "boolean"]})]
SecretKey = Annotated[str, Shape(_SECRET_KEY_PATTERN, "the name of a secret: letters and digits, such as braveApiKey")]
Version = Annotated[str, Shape(_VERSION_PATTERN, "a version in quotes with three parts, such as '1.0.0'")]
ReleaseTag = Annotated[str, Shape("^v" + _VERSION_PATTERN[1:], "a version tag with three parts, such as v1.13.0")]
Duration = Annotated[str, Shape(_DURATION_PATTERN, "a duration with its unit, such as 500ms, 10s or 5m", 12)]
BodySize = Annotated[str, Shape(_SIZE_PATTERN, "a size with k, m or g, such as 8m", 12)]
UrlPath = Annotated[str, Shape(_PATH_PATTERN, "a path that starts with '/' and does not end with one, such as /war")]
Url = Annotated[str, Shape(_URL_PATTERN, "a URL that starts with http:// or https://", 2048)]
RegistryUrl = Annotated[
    str,
    Shape(
        _REGISTRY_PATTERN,
        "http:// or https://, a lower-case host and a path, such as https://npm.acme.io/; "
        "a user belongs in username, a token under `slipway:secrets`, named by tokenSecret",
        2048,
    ),
]
Scope = Annotated[str, Shape(_SCOPE_PATTERN, "a scope of npm in quotes, such as '@acme'", 214)]
RegistryUser = Annotated[str, Shape(_USERNAME_PATTERN, "a user name without spaces and ':', such as ci", 255)]
Email = Annotated[str, Shape(_EMAIL_PATTERN, "an e-mail address such as ops@acme.io")]
Identifier = Annotated[str, Shape(_SELECTOR_PATTERN, "letters, digits, '-', '_' and '.', at most 63 characters", 63)]
PackageName = Annotated[str, Shape(_PACKAGE_PATTERN, "a package name such as mcp-server-fetch or @scope/name")]
PackageVersion = Annotated[str, Shape(_PACKAGE_VERSION_PATTERN, "one version in quotes, such as '0.6.2'", 64)]
CertificateArn = Annotated[str, Shape(_ARN_PATTERN, "an ARN that starts with arn:aws:acm:", 300)]
Base64 = Annotated[str, Shape(_BASE64_PATTERN, "base64 text of a PEM bundle", 200_000)]
AbsolutePath = Annotated[str, Shape(_ABSOLUTE_PATTERN, "an absolute path without '..', such as /var/cache", 1024)]

ContainerPort = Annotated[int, Field(ge=1024, le=65535)]
NodePort = Annotated[int, Field(ge=30_000, le=32_767)]
Count = Annotated[int, Field(ge=1, le=1000)]
Percent = Annotated[int, Field(ge=1, le=100)]
Seconds = Annotated[int, Field(ge=1, le=604_800)]
