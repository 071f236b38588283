"""The JSON schema of stack files, for editors: `python -m infra.config.schema [--write]`."""

import json
import sys
from pathlib import Path
from typing import Any, Final, cast

from infra.config.load import NAMESPACE
from infra.config.secrets import FIXED_SECRETS
from infra.config.stack import StackConfig

PATH: Final = Path(__file__).parents[1] / "stack.schema.json"
PREFIX: Final = f"{NAMESPACE}:"
_SECURE: Final = {
    "type": "object",
    "properties": {"secure": {"type": "string"}},
    "required": ["secure"],
    "additionalProperties": False,
}


def stack_schema() -> dict[str, Any]:
    """The schema of a whole `Pulumi.<stack>.yaml`: our keys with their prefix, other providers' keys as they like."""
    model = StackConfig.model_json_schema()
    _close(model)
    keys = {PREFIX + key: value for key, value in model["properties"].items()}
    for key, description in FIXED_SECRETS.items():
        set_by = f"Set it with `pulumi config set --secret {PREFIX}{key}`."
        keys[PREFIX + key] = {**_SECURE, "description": f"{description} {set_by}"}
    keys[f"{PREFIX}secrets"] = {
        "type": "object",
        "description": "Secrets that a `secretEnvironment` names. "
        f"Set each with `pulumi config set --secret --path '{PREFIX}secrets.<key>'`.",
        "propertyNames": {"pattern": "^[A-Za-z][A-Za-z0-9]*$"},
        "additionalProperties": _SECURE,
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A Slipway stack",
        "type": "object",
        "required": ["config"],
        "properties": {
            "config": {
                "type": "object",
                "description": "The stack's configuration. Slipway's keys start with `slipway:`.",
                "properties": keys,
                "required": [PREFIX + key for key in model["required"]],
                "patternProperties": {f"^(?!{PREFIX})": {}},
                "additionalProperties": False,
            },
            "secretsprovider": {"type": "string", "description": "What encrypts the stack's secrets."},
            "encryptedkey": {"type": "string", "description": "The stack's key, encrypted by the secrets provider."},
            "encryptionsalt": {"type": "string", "description": "The salt of the passphrase that encrypts secrets."},
        },
        "$defs": model["$defs"],
    }


def _close(node: Any) -> None:
    """Refuse names that no pattern matches, in place: pydantic leaves such mappings open."""
    if isinstance(node, dict):
        entries = cast("dict[str, Any]", node)
        for below in list(entries.values()):
            _close(below)
        if "patternProperties" in entries:
            entries["additionalProperties"] = False


def render() -> str:
    """The schema as the text of its file."""
    return json.dumps(stack_schema(), indent=2, ensure_ascii=False) + "\n"


def main(arguments: list[str]) -> None:
    """Write the file, or print it."""
    if "--write" in arguments:
        PATH.write_text(render(), encoding="utf-8")
    else:
        sys.stdout.write(render())


if __name__ == "__main__":
    main(sys.argv[1:])
