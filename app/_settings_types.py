"""What a setting may be, and how its text is read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AliasChoices, BeforeValidator, Field, SecretStr
from pydantic_settings import NoDecode


def _split(value: object) -> object:
    """A comma-separated list becomes a tuple; what is already a sequence is left alone."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _lower(value: object) -> object:
    return value.strip().lower() if isinstance(value, str) else value


def _blank_is_none(value: object) -> object:
    return None if isinstance(value, str) and not value.strip() else value


Transport = Annotated[Literal["stdio", "http", "sse", "websocket"], BeforeValidator(_lower)]
LogLevel = Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(_lower)]
LogFormat = Annotated[Literal["json", "text"], BeforeValidator(_lower)]
Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
Secrets = Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_split)]
Seconds = Annotated[float, Field(gt=0, le=86_400)]
OptionalText = Annotated[str | None, BeforeValidator(_blank_is_none)]
OptionalPath = Annotated[Path | None, BeforeValidator(_blank_is_none)]


def _scheme(*allowed: str) -> AfterValidator:
    def check(value: SecretStr | None) -> SecretStr | None:
        if value and value.get_secret_value().partition("://")[0] not in allowed:
            raise ValueError(f"it does not begin with {' or '.join(f'{scheme}://' for scheme in allowed)}")
        return value

    return AfterValidator(check)


def long_enough(length: int) -> AfterValidator:
    def check(values: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if any(len(value.get_secret_value()) < length for value in values):
            raise ValueError(f"one has fewer than {length} characters (`openssl rand -hex 32` makes a good one)")
        return values

    return AfterValidator(check)


RedisUrl = Annotated[
    SecretStr | None,
    BeforeValidator(_blank_is_none),
    _scheme("redis", "rediss", "redis+sentinel", "rediss+sentinel", "unix"),
]
MongoUri = Annotated[SecretStr | None, BeforeValidator(_blank_is_none), _scheme("mongodb", "mongodb+srv")]


OptionalSecret = Annotated[SecretStr | None, BeforeValidator(_blank_is_none)]
_IS_HTTP = Field(pattern=r"^https?://[^/\s@]+(/[^\s?#]*)?$")
HttpUrl = Annotated[str, _IS_HTTP]
OptionalHttpUrl = Annotated[Annotated[str, _IS_HTTP] | None, BeforeValidator(_blank_is_none)]


def env(name: str, *others: str) -> Any:
    return AliasChoices(name, *others)
