"""Known servers: what each is, how it is started, and what has to be given to it."""

from app.gateway.templates._config import command_line, gateway_snippet, rest_body, server_key, stack_snippet
from app.gateway.templates._sources import from_folder, from_mongodb
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
    "command_line",
    "from_folder",
    "from_mongodb",
    "gateway_snippet",
    "read_template",
    "rest_body",
    "server_key",
    "stack_snippet",
    "template_name",
]
