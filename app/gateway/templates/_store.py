"""All templates that there are: the built-in ones, and those of the operator."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from typing import cast

from app.gateway.templates._template import Template, TemplateError, read_template, template_name
from app.packages.names import shown


class UnknownTemplate(Exception):
    """There is no template of that name; the message names those that come close."""


class Templates:
    """Templates by name. One of the operator's takes a built-in one's place only where that is said."""

    def __init__(self, own: Iterable[Template] = (), *, replace: bool = False) -> None:
        self._all: dict[str, Template] = dict(builtin())
        self._own: set[str] = set()
        for template in own:
            if template.name in self._own:
                raise TemplateError(template.name, ["is there twice: keep one, or give the other a name of its own"])
            if template.name in self._all and not replace:
                remedy = "has the name of a built-in template: rename it, or set MCP_TEMPLATES_REPLACE=true"
                raise TemplateError(template.name, [remedy])
            self._all[template.name] = template
            self._own.add(template.name)

    def names(self) -> list[str]:
        """All names, sorted."""
        return sorted(self._all)

    def all(self) -> list[Template]:
        """All templates, by name."""
        return [self._all[name] for name in self.names()]

    def is_own(self, name: str) -> bool:
        """Whether a template is the operator's."""
        return name in self._own

    def find(self, key: str) -> Template | None:
        """The template of that name, or that a server's key means: `braveSearch` is `brave-search`."""
        return self._all.get(key) or self._all.get(template_name(key))

    def get(self, key: str) -> Template:
        """The same. Raises `UnknownTemplate`."""
        found = self.find(key)
        if found is None:
            raise UnknownTemplate(f"there is no template {shown(key)}: {self.hint(key)}")
        return found

    def hint(self, key: str) -> str:
        """What somebody may have meant by a name that there is not."""
        near = difflib.get_close_matches(template_name(key), self._all, n=3, cutoff=0.6)
        return f"did you mean {' or '.join(near)}?" if near else "`slipway templates list` shows all"

    def search(self, words: str) -> list[Template]:
        """Templates in which every word occurs, those with it in the name first."""
        wanted = words.lower().split()

        def rank(template: Template) -> int:
            return sum(word not in template.name for word in wanted)

        return sorted((t for t in self.all() if all(word in _text(t) for word in wanted)), key=rank)


@cache
def builtin() -> Mapping[str, Template]:
    """The templates that come with the program."""
    import yaml

    # The one in C, where there is one: these are ours, and read at every start.
    loader = cast("type[yaml.SafeLoader]", getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    found: dict[str, Template] = {}
    for file in sorted(files(__package__ or "").joinpath("builtin").iterdir(), key=lambda entry: entry.name):
        if file.name.endswith(".yaml"):
            template = read_template(file.name, yaml.load(file.read_text("utf-8"), loader))  # noqa: S506 (safe ones)
            found[template.name] = template
    return found


def _text(template: Template) -> str:
    parts = (template.name, template.title, template.description, template.package or "", *template.categories)
    return " ".join((*parts, *template.capabilities)).lower()
