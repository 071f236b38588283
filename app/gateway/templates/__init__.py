"""Known servers: what each is, how it is started, and what has to be given to it."""

from app.gateway.templates._store import Templates, UnknownTemplate, builtin
from app.gateway.templates._template import (
    ECOSYSTEMS,
    Deprecation,
    Paths,
    Setting,
    Template,
    TemplateError,
    read_template,
    template_name,
)

__all__ = [
    "ECOSYSTEMS",
    "Deprecation",
    "Paths",
    "Setting",
    "Template",
    "TemplateError",
    "Templates",
    "UnknownTemplate",
    "builtin",
    "read_template",
    "template_name",
]
