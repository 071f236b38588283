"""One stack: read its configuration, build the platform, export where to find it."""

import gc
import sys
from pathlib import Path

# Pulumi runs this folder as a program, which puts it first on the path, where `platform` would hide Python's own.
sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != Path(__file__).parent.resolve()]

# What is imported stays until the end: to look through it again and again while it grows takes a tenth of the time.
gc.disable()

from infra.config import StackConfig  # noqa: E402
from infra.image import AppImage  # noqa: E402
from infra.outputs import export_outputs  # noqa: E402
from infra.platform import Platform, PlatformArgs  # noqa: E402
from infra.translate.edge import image_args  # noqa: E402

gc.freeze()
gc.enable()

config = StackConfig.load()
image = AppImage("app", image_args(config.image, config.secrets, environment=config.environment))
platform = Platform("slipway", PlatformArgs.from_config(config, image=image.ref))
export_outputs(platform, image)
