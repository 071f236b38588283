"""What is wrong with a configuration, as sentences: the key, its value, what is allowed, and the likely meaning."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi


@dataclass(frozen=True, order=True)
class Problem:
    """One thing that is wrong: where, and what to do."""

    path: str
    """The key, as in the stack file without `slipway:`, e.g. `servers.web.autoscaling.maxReplicas`."""
    message: str
    """The value, what is allowed, and the remedy."""

    def __str__(self) -> str:
        return f"slipway:{self.path}: {self.message}"


class ConfigError(pulumi.RunError):
    """All problems of a configuration. As a `RunError`, Pulumi shows it as a diagnostic without a traceback."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        count = "1 problem" if len(self.problems) == 1 else f"{len(self.problems)} problems"
        lines = [f"{count} in the stack's configuration:", *(f"  - {problem}" for problem in self.problems)]
        super().__init__("\n".join(lines))
