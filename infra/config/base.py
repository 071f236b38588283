"""What every config model shares: frozen, camelCase in YAML, strict about types, closed to unknown keys."""

from typing import Annotated, TypeVar

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

_T = TypeVar("_T")

Many = Annotated[tuple[_T, ...], Field(strict=False)]
"""A list in YAML, a tuple in Python: models stay immutable all the way down."""


class Model(BaseModel):
    """The base of all config models. The docstring under a field is its description in the schema and the reference."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        alias_generator=to_camel,
        use_attribute_docstrings=True,
        hide_input_in_errors=True,
    )
