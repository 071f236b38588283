"""What a stack tells about itself once it is up."""

from pathlib import Path

import pulumi

from infra.image import AppImage
from infra.platform import Platform

README = Path(__file__).parents[1] / "Pulumi.README.md"


def export_outputs(platform: Platform, image: AppImage) -> None:
    """URLs by server and endpoint, the namespace, the image, and the rendered README that the console shows."""
    pulumi.export("namespace", platform.namespace)
    pulumi.export("urls", platform.exposure.urls)
    pulumi.export("image", image.ref)
    pulumi.export("imageDigest", image.digest)
    pulumi.export("servers", {name: server.endpoint for name, server in platform.servers.items()})
    if platform.gateway is not None:
        pulumi.export("gateway", platform.gateway.endpoint)
    if platform.registry is not None:
        pulumi.export("registry", platform.registry.url)
    pulumi.export("readme", README.read_text(encoding="utf-8"))
