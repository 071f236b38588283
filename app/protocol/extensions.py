"""The optional extensions of the protocol that this server speaks."""

from collections.abc import Mapping
from typing import Any, cast

from app.protocol.errors import MISSING_CLIENT_CAPABILITY, ProtocolError
from app.protocol.handlers import Registry
from app.protocol.revisions import Revision

TASKS = "io.modelcontextprotocol/tasks"
SKILLS = "io.modelcontextprotocol/skills"


def extensions_of(registry: Registry, revision: Revision) -> dict[str, dict[str, Any]]:
    """The extensions and their settings, as capabilities show them."""
    found: dict[str, dict[str, Any]] = {}
    if revision.stateless and any(tool.tasks != "forbidden" for tool in registry.tools()):
        found[TASKS] = {}
    if registry.skills():
        found[SKILLS] = {"directoryRead": True}
    return found


def declares(capabilities: Mapping[str, Any], extension: str) -> bool:
    """Whether a client's capabilities name the extension."""
    extensions: object = capabilities.get("extensions")
    return isinstance(extensions, dict) and extension in cast("dict[str, Any]", extensions)


def lacking(extension: str, what: str) -> ProtocolError:
    """The error for a client that did not declare an extension that its request needs."""
    return ProtocolError(
        MISSING_CLIENT_CAPABILITY,
        f"{what} needs the extension '{extension}': declare it in the client's capabilities.",
        {"requiredCapabilities": {"extensions": {extension: {}}}},
    )
