"""The image that every role runs: taken by digest, or built and pushed."""

from dataclasses import dataclass
from typing import Literal

import pulumi

Strategy = Literal["published", "build", "auto"]


@dataclass(frozen=True, kw_only=True)
class AppImageArgs:
    """How the image comes to be. `ref` is a published image; `repository` is where a built one is pushed."""

    strategy: Strategy
    repository: str
    ref: str | None = None
    base_image: str | None = None
    context: str = "."
    dockerfile: str = "app/Dockerfile"
    push: bool = True
    platform: str | None = None
    # Whether a `ref` without a digest may be resolved in the registry; outside dev it is refused.
    resolve_tags: bool = False
    username: pulumi.Input[str] | None = None
    password: pulumi.Input[str] | None = None
