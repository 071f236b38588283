"""Rules about images: where they come from, and that prod names them by digest."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from infra.config.errors import Problem
from infra.config.rules.parts import third_party_images
from infra.config.rules.registry import rule
from infra.config.secrets import how_to_set

if TYPE_CHECKING:
    from infra.config.stack import StackConfig

_DIGEST = "@sha256:"


@rule("image")
def a_published_image_is_named(config: "StackConfig") -> Iterator[Problem]:
    if config.image.strategy == "published" and config.image.ref is None:
        example = "registry.acme.io/acme/slipway@sha256:…"
        yield Problem("image.ref", f"missing; image.strategy published needs the image, e.g. {example}")


@rule("image", "environment")
def prod_runs_one_known_image(config: "StackConfig") -> Iterator[Problem]:
    image = config.image
    if config.environment != "prod":
        return
    if image.strategy == "auto":
        yield Problem("image.strategy", "'auto' depends on the machine that deploys; use published or build in prod")
    if image.strategy == "build" and not image.push:
        yield Problem("image.push", "false leaves the image on this machine; use true in prod")
    if image.strategy == "published" and image.ref is not None and _DIGEST not in image.ref:
        yield Problem(
            "image.ref", f"'{image.ref}' can change under its tag; name it by digest (repo/name@sha256:…) in prod"
        )


@rule("image")
def registry_logins_are_whole(config: "StackConfig") -> Iterator[Problem]:
    user, has_password = config.image.username, "registryPassword" in config.secrets
    if user is not None and not has_password:
        yield Problem(
            "image.username", f"'{user}' has no password: registryPassword is not set; {how_to_set('registryPassword')}"
        )
    if user is None and has_password:
        yield Problem("registryPassword", "is set, but for no user; set image.username too, or remove it")


@rule("environment", "redis", "mongodb", "gateway", "mesh")
def prod_names_every_image_by_digest(config: "StackConfig") -> Iterator[Problem]:
    if config.environment != "prod":
        return
    for path, image in third_party_images(config):
        if image is None:
            yield Problem(path, "missing; the default is a tag, and prod names images by digest (repo/name@sha256:…)")
        elif _DIGEST not in image:
            yield Problem(path, f"'{image}' can change under its tag; name it by digest (repo/name@sha256:…) in prod")
