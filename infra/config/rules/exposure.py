"""Rules about what clients reach: hosts, paths, profiles, certificates."""

from collections.abc import Iterator
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from infra import exposure
from infra.config.errors import Problem
from infra.config.exposure import LETS_ENCRYPT
from infra.config.rules.parts import hosts
from infra.config.rules.registry import rule

if TYPE_CHECKING:
    from infra.config.stack import StackConfig

_PRIVATE_ENDINGS = (".internal", ".local", ".localhost", ".lan", ".home.arpa", ".test", ".example", ".invalid")


@rule("exposure", "tls", "servers", "gateway", "mongodb")
def the_profile_can_do_it(config: "StackConfig") -> Iterator[Problem]:
    """The exposure table says what each profile cannot do."""
    asked, admin = config.exposure, config.mongodb.admin
    host_path, host = next(((path, host) for path, host in hosts(config) if not path.startswith("mongodb")), ("", None))
    wishes = exposure.Wishes(
        host=host,
        tls=config.tls.mode != "none",
        timeout_seconds=asked.timeout_seconds,
        idle_timeout_seconds=asked.idle_timeout_seconds,
        affinity_seconds=asked.affinity_seconds,
        body_size=asked.body_size,
        rate_limit=asked.rate_limit
        and exposure.RateLimit(requests_per_second=asked.rate_limit.requests_per_second, burst=asked.rate_limit.burst),
        allow_from=asked.allow_from,
        admin_host=admin.host if admin else None,
        admin_allow_from=admin.allow_from if admin and admin.host else (),
        gateway=asked.gateway.name if asked.gateway else None,
    )
    for message in exposure.check(asked.profile, wishes):
        path, _, text = message.partition(": ")
        yield Problem(host_path if path == "exposure.host" and host_path else path, text)


@rule("exposure", "servers", "gateway")
def the_profile_can_take_paths_off(config: "StackConfig") -> Iterator[Problem]:
    paths = [(f"servers.{name}.path", server.path) for name, server in config.servers.items() if server.exposed]
    if config.gateway.enabled and config.gateway.exposed:
        paths.append(("gateway.path", config.gateway.path))
    row = exposure.TABLE[config.exposure.profile]
    for key, path in paths:
        if path != "/" and isinstance(row.prefix, exposure.Cannot):
            yield Problem(
                key,
                f"'{path}': profile {config.exposure.profile} cannot do this, because {row.prefix.because}; "
                f"use {row.prefix.use}",
            )


@rule("exposure", "servers")
def a_node_port_profile_has_node_ports(config: "StackConfig") -> Iterator[Problem]:
    if config.exposure.profile == "nodePort":
        for name, server in config.servers.items():
            if server.exposed and server.node_port is None:
                yield Problem(
                    f"servers.{name}.nodePort",
                    "missing; exposure.profile nodePort needs a port from 30000 to 32767, or exposed: false",
                )


@rule("exposure", "servers", "gateway", "mongodb")
def a_host_and_path_leads_to_one_backend(config: "StackConfig") -> Iterator[Problem]:
    if config.exposure.profile in ("none", "nodePort"):
        return
    backends = [
        (f"servers.{name}.path", server.host, server.path) for name, server in config.servers.items() if server.exposed
    ]
    if config.gateway.enabled and config.gateway.exposed:
        backends.append(("gateway.path", config.gateway.host, config.gateway.path))
    if config.mongodb.admin is not None and config.mongodb.admin.host is not None:
        backends.append(("mongodb.admin.host", config.mongodb.admin.host, "/"))
    taken: dict[tuple[str | None, str], str] = {}
    for path, host, url_path in backends:
        place = (host or config.exposure.host, url_path)
        if place in taken:
            shown = f"{place[0]}{url_path}" if place[0] else f"{url_path} of every host"
            yield Problem(
                path, f"'{shown}' already leads to {taken[place].rpartition('.')[0]}; use another host or path"
            )
        taken.setdefault(place, path)


@rule("exposure", "tls", "servers", "gateway")
def every_exposed_server_has_a_host_with_tls(config: "StackConfig") -> Iterator[Problem]:
    if config.tls.mode == "none" or config.exposure.host is not None:
        return
    if not any(server.host for server in config.servers.values()) and config.gateway.host is None:
        return  # the profile's own check says that no host is set at all
    for name, server in config.servers.items():
        if server.exposed and server.host is None:
            yield Problem(f"servers.{name}.host", "missing; TLS needs a host name here or in exposure.host")


@rule("tls")
def tls_has_what_its_mode_needs(config: "StackConfig") -> Iterator[Problem]:
    tls = config.tls
    if tls.mode == "acme" and tls.email is None:
        yield Problem("tls.email", "missing; tls.mode acme needs a contact for the account")
    if tls.mode == "ca" and tls.ca_secret is None:
        yield Problem("tls.caSecret", "missing; tls.mode ca needs the Secret with the CA's certificate and key")
    if tls.mode == "existing" and tls.secret_name is None:
        yield Problem("tls.secretName", "missing; tls.mode existing needs the name of the Secret with the certificate")
    if tls.mode in ("none", "existing") and tls.install_cert_manager is not None:
        yield Problem(
            "tls.installCertManager",
            f"tls.mode {tls.mode} uses no cert-manager; remove it, or use acme, ca or selfSigned",
        )


@rule("tls", "exposure", "servers", "gateway", "mongodb")
def acme_can_prove_the_hosts(config: "StackConfig") -> Iterator[Problem]:
    if config.tls.mode != "acme":
        return
    for path, host in hosts(config):
        if host.startswith("*."):
            yield Problem(
                path, f"'{host}' is a wildcard, which HTTP-01 cannot prove; name the host, or use tls.mode existing"
            )
        elif config.tls.directory_url == LETS_ENCRYPT and host.endswith(_PRIVATE_ENDINGS):
            yield Problem(
                path,
                f"'{host}' is a private name, which Let's Encrypt refuses; set tls.directoryUrl to your own server",
            )


@rule("exposure")
def certificate_arns_are_for_alb(config: "StackConfig") -> Iterator[Problem]:
    if config.exposure.certificate_arn is not None and config.exposure.profile != "alb":
        yield Problem(
            "exposure.certificateArn", f"profile {config.exposure.profile} takes no ARN; use profile alb, or tls.mode"
        )


@rule("environment", "exposure", "servers", "gateway", "mongodb", "tls", "image")
def prod_uses_no_example_names(config: "StackConfig") -> Iterator[Problem]:
    if config.environment != "prod":
        return
    names = dict(hosts(config))
    if config.tls.mode == "acme":
        names["tls.directoryUrl"] = urlsplit(config.tls.directory_url).hostname or ""
        names["tls.email"] = (config.tls.email or "").rpartition("@")[2]
    image = config.image.ref if config.image.strategy == "published" else config.image.repository
    names["image.ref" if config.image.strategy == "published" else "image.repository"] = (image or "").split("/")[0]
    for path, name in names.items():
        if _is_example(name):
            yield Problem(path, f"'{name}' is an example; use your own name in prod")


def _is_example(name: str) -> bool:
    labels = name.lower().split(":")[0].split(".")
    if _is_address(name):
        return False
    reserved_ending = len(labels) > 1 and labels[-1] in ("example", "test", "invalid", "localhost")
    second_level = labels[-2] if len(labels) > 1 else ""
    return (
        reserved_ending
        or second_level in ("example", "yourdomain", "mydomain")
        or any(label.startswith(("your-", "my-domain")) for label in labels)
        or name in ("localhost", "example")
    )


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
