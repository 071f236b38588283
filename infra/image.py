"""The image that every role runs: taken by digest, or built and pushed."""

import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import pulumi
import pulumi_docker as docker

from infra import naming
from infra.build_id import build_id
from infra.component import Component

Strategy = Literal["published", "build", "auto"]

PROJECT = Path(__file__).parents[1]
DOCKER_HUB = "docker.io"


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
    # Of the registry that is pushed to; docker's own login when absent.
    username: pulumi.Input[str] | None = None
    password: pulumi.Input[str] | None = None


def local_image(ref: str) -> str | None:
    """The id of an image that this machine's docker has, or None."""
    command = ["docker", "image", "inspect", "--format", "{{.Id}}", ref]
    try:
        answer = subprocess.run(command, capture_output=True, check=False, timeout=30, text=True)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() or None if answer.returncode == 0 else None


def published_digest(ref: str, opts: pulumi.InvokeOptions | None = None) -> str | None:
    """The digest that the registry has for a tag, or None when it cannot be had."""
    try:
        found = docker.get_registry_image(name=ref, opts=opts)
    except Exception as problem:
        pulumi.log.info(f"{ref} is not in its registry, or cannot be read: {problem}")
        return None
    return found.sha256_digest or None


def repository_of(ref: str) -> str:
    """A reference without its tag and digest. A port of the registry is not a tag."""
    bare = ref.split("@", maxsplit=1)[0]
    head, slash, last = bare.rpartition("/")
    return head + slash + last.split(":", maxsplit=1)[0]


def registry_of(repository: str) -> str:
    """The registry's host, as docker understands a repository's name."""
    first, slash, _ = repository.partition("/")
    return first if slash and ("." in first or ":" in first or first == "localhost") else DOCKER_HUB


class AppImage(Component):
    """One image for every role.

    Outputs: `ref` (what pods name: by digest, wherever a registry holds the image), `digest`, and `build_id`, which is
    None for an image that was not built here.
    """

    def __init__(
        self,
        name: str,
        args: AppImageArgs,
        opts: pulumi.ResourceOptions | None = None,
        *,
        find_local: Callable[[str], str | None] = local_image,
    ) -> None:
        super().__init__("image", "AppImage", name, opts)
        self.build_id: str | None = None
        self.ref, self.digest = self._resolve(args, find_local)
        self.finish({"ref": self.ref, "digest": self.digest, "build_id": self.build_id})

    def _resolve(
        self, args: AppImageArgs, find_local: Callable[[str], str | None]
    ) -> tuple[pulumi.Output[str], pulumi.Output[str]]:
        if args.strategy == "build":
            return self._build(args)
        if args.strategy == "published":
            return self._published(args)
        wanted = args.ref or f"{args.repository}:latest"
        if "@" in wanted:
            return _pinned(wanted)
        digest = published_digest(wanted)
        if digest is not None:
            return _pinned(f"{repository_of(wanted)}@{digest}")
        local = find_local(wanted)
        if local is not None:
            pulumi.log.info(f"Using this machine's {wanted}: the registry has none.", self)
            return pulumi.Output.from_input(wanted), pulumi.Output.from_input(local)
        pulumi.log.info(f"Building {args.repository}: neither the registry nor this machine has {wanted}.", self)
        return self._build(args)

    def _published(self, args: AppImageArgs) -> tuple[pulumi.Output[str], pulumi.Output[str]]:
        ref = args.ref
        if ref is None:
            raise ValueError(
                "image.ref: nothing is set, but image.strategy published deploys a published image; "
                "set it to repository@sha256:…, or set image.strategy to build"
            )
        if "@" in ref:
            return _pinned(ref)
        if not args.resolve_tags:
            raise ValueError(
                f"image.ref: {ref} can change under its tag; name it by digest, "
                f"{repository_of(ref)}@sha256:…, or set environment to dev"
            )
        found = docker.get_registry_image_output(name=ref, opts=pulumi.InvokeOutputOptions(parent=self))
        digest = found.apply(lambda image: image.sha256_digest)
        return digest.apply(lambda value: f"{repository_of(ref)}@{value}"), digest

    def _build(self, args: AppImageArgs) -> tuple[pulumi.Output[str], pulumi.Output[str]]:
        self.build_id = build_id(PROJECT, datetime.now(UTC))
        tagged = f"{args.repository}:{self.build_id}"
        image = docker.Image(
            naming.child(self.name, "image"),
            image_name=tagged,
            build=docker.DockerBuildArgs(
                context=_from_here(args.context),
                dockerfile=_from_here(args.dockerfile),
                args={} if args.base_image is None else {"BASE_IMAGE": args.base_image},
                platform=args.platform,
            ),
            registry=docker.RegistryArgs(
                server=registry_of(args.repository), username=args.username, password=args.password
            )
            if args.username is not None
            else None,
            build_on_preview=False,
            skip_push=not args.push,
            opts=self.child_options(),
        )
        if not args.push:
            # Only a registry knows an image by digest: a cluster that shares this machine's images finds it by its tag.
            return image.image_name, image.repo_digest
        self._push_latest(args, image)
        return image.repo_digest, image.repo_digest.apply(lambda ref: ref.rpartition("@")[2])

    def _push_latest(self, args: AppImageArgs, image: docker.Image) -> None:
        latest = docker.Tag(
            naming.child(self.name, "latest"),
            source_image=image.image_name,
            target_image=f"{args.repository}:latest",
            tag_triggers=[image.repo_digest],
            opts=self.child_options(),
        )
        docker.RegistryImage(
            naming.child(self.name, "latest"),
            name=latest.target_image,
            keep_remotely=True,
            triggers={"digest": image.repo_digest},
            auth_config=docker.RegistryImageAuthConfigArgs(
                address=registry_of(args.repository), username=args.username, password=args.password or ""
            )
            if args.username is not None
            else None,
            opts=self.child_options(depends_on=[latest]),
        )


def _pinned(ref: str) -> tuple[pulumi.Output[str], pulumi.Output[str]]:
    return pulumi.Output.from_input(ref), pulumi.Output.from_input(ref.rpartition("@")[2])


def _from_here(path: str) -> str:
    """A path of the project as seen from the program's working directory: the state must not name this machine's."""
    return os.path.relpath(PROJECT / path)
