"""The reference of all keys, as Markdown: `python -m infra.config.reference [--write]`."""

import json
import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from infra.config.secrets import FIXED_SECRETS
from infra.config.stack import StackConfig

PATH: Final = Path(__file__).parents[2] / "docs" / "configuration.md"
_INTRODUCTION: Final = """\
# Configuration

Generated from the models in `infra/config` by `make golden`: change the docstrings there, not this page.

A stack is one file, `Pulumi.<stack>.yaml`, or any file given by `--config-file`. Its keys start with `slipway:`; every
key below goes under one of these. Mistakes are reported all at once, before a cluster is touched, each with the key,
the value, what is allowed and the likely meaning. Editors complete and check the file by the schema that its first
line names, `infra/stack.schema.json`.

```yaml
# yaml-language-server: $schema=infra/stack.schema.json
config:
  slipway:environment: dev
  slipway:servers:
    web:
      toolsets: [war, map]
```

In the tables, `<name>` stands for a name of your own, `[]` for each entry of a list, and `–` for no default: the key
may be left out. Amounts are Kubernetes quantities (`500m`, `512Mi`).
"""
_SECRETS: Final = """\
## Secrets

Secrets never stand in plain text: a file that holds one is refused. They are set by command, reach the cluster as
Secret objects only, and are not repeated in messages, outputs or previews.

| Key | Description |
|---|---|
"""
_NAMED_BY_YOU: Final = (
    "Any secret that a `secretEnvironment` names, set with `pulumi config set --secret --path 'slipway:secrets.<key>'`."
)


@dataclass(frozen=True)
class _Row:
    key: str
    type: str
    default: str
    description: str

    def __str__(self) -> str:
        cells = (f"`{self.key}`", self.type, self.default, self.description)
        return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


class _Reference:
    """Walks the JSON schema. Models that several keys share get a section of their own, to which those keys link."""

    def __init__(self) -> None:
        self.schema: dict[str, Any] = StackConfig.model_json_schema()
        self.definitions: dict[str, Any] = self.schema["$defs"]
        uses = Counter(_references(self.schema))
        self.shared = [name for name in self.definitions if uses[name] > 1]

    def render(self) -> str:
        parts = [_INTRODUCTION]
        for key, node in self.schema["properties"].items():
            required = key in self.schema["required"]
            parts.append(self._section(key, node, required=required))
        parts.append(self._secrets())
        parts.append("## Shared parts\n\nKeys above whose type names one of these take its keys.\n")
        parts += [self._shared(name) for name in self.shared]
        return "\n".join(parts)

    def _section(self, key: str, node: Mapping[str, Any], *, required: bool) -> str:
        rows = list(self._rows(key, node, required=required))
        model = self._model(node)
        about = "" if model is None else self.definitions[model]["description"].replace("\n", " ") + "\n\n"
        if len(rows) > 1:
            rows = rows[1:]
        return f"## {key}\n\n{about or ''}" + _table(rows)

    def _shared(self, name: str) -> str:
        definition = self.definitions[name]
        rows = [row for key, node in self._children(definition) for row in self._rows(key, node, owner=definition)]
        return f"### {_title(name)}\n\n{definition['description']}\n\n" + _table(rows)

    def _secrets(self) -> str:
        rows = [f"| `{key}` | {description} |" for key, description in FIXED_SECRETS.items()]
        return _SECRETS + "\n".join([*rows, f"| `secrets.<key>` | {_NAMED_BY_YOU} |"]) + "\n"

    def _rows(
        self, path: str, node: Mapping[str, Any], *, owner: Mapping[str, Any] | None = None, required: bool = False
    ) -> Iterator[_Row]:
        key = path.rsplit(".", 1)[-1]
        required = required or (owner is not None and key in owner.get("required", []))
        suffix = _inside(node)[1]
        model = self._model(node)
        own: dict[str, Any] = self.definitions[model] if model is not None else {}
        description: str = node.get("description") or own.get("description", "")
        yield _Row(path, self._type(node), "required" if required else _default(node), description.replace("\n", " "))
        if model is not None and model not in self.shared:
            definition = self.definitions[model]
            for child, below in self._children(definition):
                yield from self._rows(f"{path}{suffix}.{child}", below, owner=definition)

    def _children(self, definition: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
        yield from definition.get("properties", {}).items()

    def _model(self, node: Mapping[str, Any]) -> str | None:
        inner, _ = _inside(node)
        name = str(inner.get("$ref", "")).rsplit("/", 1)[-1]
        return name if name in self.definitions else None

    def _type(self, node: Mapping[str, Any]) -> str:
        inner, suffix = _inside(node)
        model = self._model(node)
        if model is not None:
            text = f"[{_title(model)}](#{_title(model)})" if model in self.shared else "mapping"
        else:
            text = _plain_type(inner)
        return {"": text, ".<name>": f"mapping of {text}", "[]": f"list of {text}"}[suffix]


def _inside(node: Mapping[str, Any]) -> tuple[Mapping[str, Any], str]:
    """What a key holds without the ways to leave it out, and how a path goes on below it."""
    options = [option for option in node.get("anyOf", []) if option.get("type") != "null"]
    if len(options) == 1:
        return _inside(options[0])
    if "items" in node:
        return node["items"], "[]"
    patterned: dict[str, Any] = node.get("patternProperties", {})
    below: dict[str, Any] = next(iter(patterned.values()), None) or node.get("additionalProperties") or {}
    return (below, ".<name>") if below else (node, "")


def _plain_type(node: Mapping[str, Any]) -> str:
    if "enum" in node:
        return ", ".join(f"`{option}`" for option in node["enum"])
    if "anyOf" in node or isinstance(node.get("type"), list):
        return "text or number"
    if "minimum" in node:
        return f"{node['minimum']} to {node['maximum']}"
    names = {"boolean": "`true`, `false`", "integer": "whole number", "number": "number"}
    return names.get(node.get("type", ""), "text")


def _default(node: Mapping[str, Any]) -> str:
    match node.get("default"):
        case None | {}:
            return "–"
        case []:
            return "`[]`"
        case [*items]:
            return ", ".join(f"`{item}`" for item in items)
        case str(text):
            return f"`{text}`"
        case other:
            return f"`{json.dumps(other)}`"


def _references(schema: Mapping[str, Any]) -> list[str]:
    """The name of every definition that something refers to, once a reference."""
    return re.findall(r'"#/\$defs/(\w+)"', json.dumps(schema))


def _title(model: str) -> str:
    return model.removesuffix("Config").lower()


def _table(rows: list[_Row]) -> str:
    return "\n".join(["| Key | Type | Default | Description |", "|---|---|---|---|", *map(str, rows)]) + "\n"


def render() -> str:
    """The reference as the text of its file."""
    return _Reference().render()


def main(arguments: list[str]) -> None:
    """Write the file, or print it."""
    if "--write" in arguments:
        PATH.parent.mkdir(exist_ok=True)
        PATH.write_text(render(), encoding="utf-8")
    else:
        sys.stdout.write(render())


if __name__ == "__main__":
    main(sys.argv[1:])
