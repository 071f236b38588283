"""From what a person declares to what a launcher starts: template, settings, package policy, pinned version."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

from app.gateway._addresses import AddressRefused, checked_url
from app.gateway._reaching import listening, transport_of, usual_port
from app.gateway.pinning import Packages, PinDelayed, PinRefused, Run, Wanted, client_command
from app.gateway.spec import LaunchSpec, Limits, Pin, Place, ServerSpec, ServerType, Transport
from app.gateway.templates import ECOSYSTEMS, Template, Templates, template_name
from app.gateway.templates._fill import Filled, fill
from app.packages.facts import Mode, NoSuchPackage, PackageError, RegistryAway
from app.packages.names import Ecosystem, NotAllowedText, package_name, package_version, shown
from app.packages.policy import Policy, PolicyError

logger = logging.getLogger("slipway.gateway.resolving")


class ResolveError(Exception):
    """A declared server that cannot be started; `problems` has every reason, each with its field."""

    def __init__(self, problems: Sequence[tuple[str, str]]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(f"{where} {message}" for where, message in problems))


class ResolveDelayed(Exception):
    """Nothing is wrong with a server, but it cannot be resolved now: a registry is away. Trying again may help."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolveOptions:
    """What holds for every server."""

    place: Place = "process"
    allow_npx: bool = True
    allow_uv: bool = True
    allow_custom_images: bool = False
    allow_local_urls: bool = False
    archon_image: str = "archon-mcp:latest"
    internet: bool = True
    limits: Limits = field(default_factory=Limits)
    allow: tuple[str, ...] = ()
    """Packages that may run; none allows all."""
    block: tuple[str, ...] = ()
    """Packages that never run, as dependencies neither."""
    strict: bool = False
    """Whether dependencies have to be on the allow list as well."""
    verify: Mode = "off"
    run: Run | None = None
    """How packages are started; without it, installed here for processes, and by our image in pods."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """A server as it is started, and what a person should know of it."""

    launch: LaunchSpec
    warnings: list[str]


@dataclass(slots=True)
class _Work:
    """One server while it is resolved."""

    name: str
    spec: ServerSpec
    problems: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    warnings: list[str] = field(default_factory=list[str])

    def complain(self, where: str, message: str) -> None:
        self.problems.append((f"servers.{self.name}.{where}", message))


class Resolver:
    """Resolves declared servers. One for the life of a gateway.

    Without `packages`, npx and uvx are told the names, and nothing is pinned, judged by its dependencies or verified.
    """

    def __init__(
        self,
        templates: Templates | None = None,
        options: ResolveOptions | None = None,
        packages: Packages | None = None,
    ) -> None:
        self.templates = templates or Templates()
        self.options = options or ResolveOptions()
        self._packages = packages

    async def resolve(self, name: str, spec: ServerSpec) -> LaunchSpec:
        """What to start for the server of that key; what a person should know of it is logged.

        Raises `ResolveError` with all that is wrong or not allowed, and `ResolveDelayed` if it may work later.
        """
        resolved = await self.explain(name, spec)
        for warning in resolved.warnings:
            logger.warning("resolved with a warning", extra={"fields": {"server": name, "warning": warning}})
        return resolved.launch

    async def explain(self, name: str, spec: ServerSpec) -> Resolved:
        """The same, with the warnings."""
        work = _Work(name, spec)
        template = self._template(work)
        kind = spec.type or (template.type if template else None)
        if kind is None and not work.problems:
            work.complain("type", "is missing, and no template has this name: say npx, uv, archon, image or remote")
        filled = fill(template, spec, work.complain)
        self._secrets(work, filled)
        launch = None if kind is None else await self._launch(work, kind, template, filled)
        if work.problems or launch is None:
            raise ResolveError(work.problems)
        return Resolved(launch, work.warnings)

    def _template(self, work: _Work) -> Template | None:
        spec = work.spec
        if spec.template is not None:
            found = self.templates.find(spec.template)
            if found is None:
                work.complain("template", f"{shown(spec.template)} is unknown: {self.templates.hint(spec.template)}")
        else:
            # A server that says its own type is what it says, even where its name is that of a template.
            found = self.templates.find(work.name) if spec.type is None else None
        if found is not None and spec.type not in (None, found.type):
            work.complain("type", f"{spec.type} contradicts the template {found.name}, which is {found.type}: drop one")
        if found is not None and found.deprecated:
            successor = f" Use {found.deprecated.successor} instead." if found.deprecated.successor else ""
            work.warnings.append(f"the template {found.name} is deprecated: {found.deprecated.reason}{successor}")
        if found is not None and found.internet and not self.options.internet:
            work.warnings.append(f"{found.title} is of no use without the internet, which internetAccess=false denies")
        return found

    def _secrets(self, work: _Work, filled: Filled) -> None:
        if self.options.place == "process":
            for variable in filled.secret_environment:
                remedy = f"names a Kubernetes Secret, and servers run as local processes: use environment.{variable}"
                work.complain(f"secretEnvironment.{variable}", remedy)

    async def _launch(
        self, work: _Work, kind: ServerType, template: Template | None, filled: Filled
    ) -> LaunchSpec | None:
        self._unused_fields(work, kind)
        command: tuple[str, ...] = tuple(filled.arguments)
        image: str | None = None
        url: str | None = None
        pin: Pin | None = None
        if kind in ECOSYSTEMS:
            command, pin = await self._package(work, ECOSYSTEMS[kind], template, filled)
        elif kind == "archon":
            image = self.options.archon_image
            if self.options.place == "process":
                command = (sys.executable, "-m", "app.cli", "serve", *filled.arguments)
        elif kind == "image":
            image = self._image(work, template)
        else:
            url = await self._url(work, template)
        transport = work.spec.transport or transport_of(kind, template, url)
        port = self._port(work, kind, transport, template)
        environment = {**listening(kind, transport, port, self.options.place), **filled.environment}
        return LaunchSpec(
            id=server_id(work.name),
            type=kind,
            transport=transport,
            command=command,
            image=image,
            url=url,
            port=port,
            environment=environment,
            secret_environment=filled.secret_environment,
            limits=self.options.limits,
            internet=self.options.internet,
            pin=pin,
        )

    async def _package(
        self, work: _Work, ecosystem: Ecosystem, template: Template | None, filled: Filled
    ) -> tuple[tuple[str, ...], Pin | None]:
        given = work.spec.package or (template.package if template else None)
        if not given:
            work.complain("package", "is missing: name the package to run, e.g. mcp-server-fetch or @scope/name")
            return (), None
        allowed = self.options.allow_npx if ecosystem == "npm" else self.options.allow_uv
        if not allowed:
            variable, registry = ("MCP_ALLOW_NPX", "npm") if ecosystem == "npm" else ("MCP_ALLOW_UV", "PyPI")
            work.complain("type", f"runs packages from {registry}, which {variable}=false does not allow")
        name = version = ""
        try:
            name = package_name(ecosystem, given)
        except NotAllowedText as error:
            work.complain("package", str(error))
        try:
            version = None if work.spec.version is None else package_version(ecosystem, work.spec.version)
        except NotAllowedText as error:
            work.complain("version", str(error))
        program = template.bin if template and template.package == given else None
        wanted = Wanted(ecosystem, name, version, program, tuple(filled.arguments))
        if work.problems:  # nothing is asked of a registry, or installed, for what will not run
            return (), None
        return await self._pinned(work, wanted)

    async def _pinned(self, work: _Work, wanted: Wanted) -> tuple[tuple[str, ...], Pin | None]:
        options = self.options
        try:
            policy = Policy(options.allow, options.block, strict=options.strict)
        except PolicyError as error:
            raise ResolveError([("", problem) for problem in error.problems]) from None
        run = options.run or ("installed" if options.place == "process" else "checked")
        try:
            if self._packages is not None:
                pinned = await self._packages.pin(wanted, policy, mode=options.verify, run=run)
                work.warnings += pinned.warnings
                return pinned.command, pinned.pin
            if refusal := policy.refusal(wanted.ecosystem, wanted.name, wanted.version):
                raise PinRefused(str(refusal))
        except (RegistryAway, PinDelayed) as error:
            raise ResolveDelayed(f"servers.{work.name}.package {error}") from None
        except NoSuchPackage as error:
            work.complain("package" if wanted.version is None else "version", str(error))
        except (PackageError, PinRefused) as error:
            work.complain("package", str(error))
        return client_command(wanted, wanted.version), None

    def _image(self, work: _Work, template: Template | None) -> str | None:
        image = work.spec.image or (template.image if template else None)
        if not image:
            work.complain("image", "is missing: name the image to run")
        if not self.options.allow_custom_images:
            work.complain("type", "runs an image of your own, which MCP_ALLOW_CUSTOM_IMAGES=false does not allow")
        if image and (image.startswith("-") or any(c <= " " or c > "~" for c in image)):
            work.complain("image", f"{shown(image)} is not the name of an image")
        return image

    async def _url(self, work: _Work, template: Template | None) -> str | None:
        url = work.spec.url or (template.url if template else None)
        if not url:
            work.complain("url", "is missing: type remote needs the server's address, like https://host/mcp")
            return None
        try:
            return await checked_url(url, own_machine=self.options.allow_local_urls)
        except AddressRefused as error:
            work.complain("url", f"{shown(url)} {error}")
            return None

    def _port(self, work: _Work, kind: ServerType, transport: Transport, template: Template | None) -> int | None:
        if transport == "stdio" and kind == "remote":
            work.complain("transport", "stdio has no address: a remote server speaks http, sse or websocket")
        if transport == "stdio" or kind == "remote":
            return None
        port = work.spec.port or (template.port if template else None)
        if port is not None and not 1 <= port <= 65_535:
            work.complain("port", f"{port} is wrong: give a number from 1 to 65535")
        return port or usual_port(kind, self.options.place)

    def _unused_fields(self, work: _Work, kind: ServerType) -> None:
        """A field that the type does not read is a mistake, not a wish to pass over."""
        reads: dict[str, tuple[ServerType, ...]] = {
            "package": ("npx", "uv"),
            "version": ("npx", "uv"),
            "image": ("image",),
            "url": ("remote",),
        }
        for where, kinds in reads.items():
            if getattr(work.spec, where) is not None and kind not in kinds:
                work.complain(where, f"means nothing with type {kind}: leave it out, or say type {' or '.join(kinds)}")


def server_id(name: str) -> str:
    """The id of the server of that key: a DNS label."""
    return template_name(name)[:63].strip("-") or "server"
