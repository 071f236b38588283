"""Stack files as tests, tools and previews read them: without Pulumi."""

from pathlib import Path

import yaml

from infra.config.load import as_mapping
from infra.config.stack import StackConfig

PREFIX = "slipway:"


def stack_values(document: object) -> dict[str, object]:
    """The values under the `slipway:` keys of a stack file's document, without the prefix."""
    config = as_mapping((as_mapping(document) or {}).get("config")) or {}
    return {key.removeprefix(PREFIX): value for key, value in config.items() if key.startswith(PREFIX)}


def parse_stack_file(path: Path) -> StackConfig:
    """The configuration in a stack file. Secrets read as placeholder Outputs."""
    return StackConfig.parse(stack_values(yaml.safe_load(path.read_text(encoding="utf-8"))))
