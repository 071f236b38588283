"""`/docs`: the API's documentation as a page that fetches nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any, cast

import msgspec

from app.web.assets import assets

_METHODS = ("get", "post", "put", "patch", "delete")


def render_docs(document: Mapping[str, Any]) -> str:
    """The page of an OpenAPI document."""
    info: Mapping[str, Any] = document.get("info", {})
    title = escape(str(info.get("title", "")))
    style = escape(f"page/{assets()['page.css'].path}")
    paths: Mapping[str, Mapping[str, Any]] = document.get("paths", {})
    operations = "".join(
        _operation(method, path, item[method], document)
        for path, item in paths.items()
        for method in _METHODS
        if method in item
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta name="color-scheme" content="light dark"><title>{title} API</title>'
        f'<link rel="icon" href="data:,"><link rel="stylesheet" href="{style}"></head>'
        f'<body><header><h1>{title}</h1><p>The REST API; for programs: <a href="openapi.json">openapi.json</a></p>'
        f"</header><main>{operations}</main></body></html>"
    )


def _operation(method: str, path: str, operation: Mapping[str, Any], document: Mapping[str, Any]) -> str:
    parts = [f"<section><h2><code>{method.upper()} {escape(path)}</code></h2>"]
    parts.append(f"<p>{escape(operation.get('summary', ''))}</p>")
    if operation.get("description"):
        parts.append(f"<p>{escape(operation['description'])}</p>")
    parameters: list[Mapping[str, Any]] = operation.get("parameters", [])
    if parameters:
        rows = "".join(_row(given["name"], given["in"], given.get("description", "")) for given in parameters)
        parts.append(f"<table><tbody>{rows}</tbody></table>")
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    if body is not None:
        parts.append(_fields(_resolved(body, document)))
    answers = "".join(
        _row(status, answer.get("description", ""), "") for status, answer in operation.get("responses", {}).items()
    )
    parts.append(f"<h3>Answers</h3><table><tbody>{answers}</tbody></table></section>")
    return "".join(parts)


def _fields(schema: Mapping[str, Any]) -> str:
    properties: Mapping[str, Mapping[str, Any]] = schema.get("properties", {})
    required: list[str] = schema.get("required", [])
    rows = "".join(
        _row(name, _kind(given) + (", required" if name in required else ""), given.get("description", ""))
        for name, given in properties.items()
    )
    examples: list[object] = schema.get("examples", [])
    shown = "".join(f"<pre>{escape(msgspec.json.encode(example).decode())}</pre>" for example in examples)
    return f"<h3>Body</h3><table><tbody>{rows}</tbody></table>{shown}"


def _kind(schema: Mapping[str, Any]) -> str:
    choices: list[Mapping[str, Any]] = schema.get("anyOf", [])
    if choices:
        return " or ".join(_kind(choice) for choice in choices if choice.get("type") != "null")
    if "enum" in schema:
        return ", ".join(str(value) for value in schema["enum"])
    return str(schema.get("type") or str(schema.get("$ref", "object")).rpartition("/")[2])


def _resolved(schema: Mapping[str, Any], document: Mapping[str, Any]) -> Mapping[str, Any]:
    reference = schema.get("$ref")
    if not isinstance(reference, str):
        return schema
    found: Any = document
    for step in reference.removeprefix("#/").split("/"):
        found = cast("Mapping[str, Any]", found).get(step, {})
    return cast("Mapping[str, Any]", found)


def _row(name: object, kind: object, text: object) -> str:
    return f"<tr><th><code>{escape(str(name))}</code></th><td>{escape(str(kind))}</td><td>{escape(str(text))}</td></tr>"
