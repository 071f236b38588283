"""Names of servers: what a person calls one, and the DNS label that it is known by."""

from __future__ import annotations

import hashlib
import re
from urllib.parse import urlsplit

import msgspec

from app.gateway.manager.model import Problem
from app.gateway.spec import ServerSpec
from app.gateway.templates import template_name

LONGEST_ID = 40
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._ -]{0,61}[A-Za-z0-9])?")
_DECORATION = re.compile(r"^(?:mcp-)?(?:server-)?|(?:-mcp)?(?:-server)?$")


def server_id(name: str) -> str:
    """The DNS label of a name: `braveSearch` is `brave-search`."""
    return template_name(name)


def name_problem(name: str) -> Problem | None:
    """What is wrong with a name, if anything."""
    if _NAME.fullmatch(name) and len(server_id(name)) <= LONGEST_ID:
        return None
    remedy = f"is no name: give 1 to {LONGEST_ID} letters, digits, '-', '_' or '.', beginning and ending with a letter"
    return Problem(field="name", value=repr(name[:80]), remedy=f"{remedy} or digit")


def default_name(spec: ServerSpec) -> str:
    """What a server is called that was given no name: after its template, package, image or host."""
    if spec.template:
        text = spec.template
    elif spec.package:
        text = _DECORATION.sub("", spec.package.rpartition("/")[2]) or spec.package
    elif spec.image:
        text = spec.image.rpartition("/")[2].partition("@")[0].partition(":")[0]
    elif spec.url:
        text = (urlsplit(spec.url).hostname or "remote").removeprefix("www.").removeprefix("mcp.")
    else:
        text = spec.type or "server"
    return server_id(text)[:LONGEST_ID].strip("-") or "server"


def distinct_name(name: str, spec: ServerSpec) -> str:
    """Another name for a spec whose default name is taken; always the same for the same spec."""
    digest = hashlib.sha256(msgspec.json.encode(spec, order="deterministic")).hexdigest()[:6]
    return f"{name[: LONGEST_ID - 7].strip('-')}-{digest}"


def other_instance(taken: str, server: str) -> str:
    """The launcher's name for the one that takes the place of `taken`: two dashes in a row are in no id."""
    return server if taken != server else f"{server}--2"
