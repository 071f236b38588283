"""How a server stands: what was last done with it, and how it is right now."""

from __future__ import annotations

from dataclasses import dataclass

from app.gateway.launcher import Launched, UrlEndpoint
from app.gateway.manager.berth import Berth
from app.gateway.manager.model import Phase, ServerInfo, ServerStatus, Wanted
from app.gateway.manager.parts import Parts
from app.gateway.manager.shown import shown_spec
from app.gateway.manager.store import Told


@dataclass(slots=True)
class Standing:
    """What is known of one server beside what the catalogue and the launcher know."""

    phase: Phase = "pending"
    reason: str = ""
    unreplaced: str = ""
    """Why a changed spec does not run yet, while the one before it still serves."""
    seconds: float | None = None
    owner: str | None = None
    """The other replica that runs it."""
    told: Told | None = None
    """What that one says of it."""
    revision: int = 0


def phase_of(standing: Standing, wanted: Wanted, berth: Berth, parts: Parts) -> tuple[Phase, str]:
    """The phase and why it is not simply ready; of one that was brought up, by how it is right now."""
    launched = _launched(wanted, berth, parts)
    if standing.phase == "starting" and launched is not None and launched.reason:
        return standing.phase, launched.reason
    if standing.phase != "ready":
        return standing.phase, standing.reason
    listing = parts.catalogue.listing(wanted.id)
    if launched is not None and launched.state == "failed":
        return "failed", launched.reason or "it ended without a reason"
    reason = ""
    if berth.lost:
        why = f": {launched.reason}" if launched is not None and launched.reason else ""
        reason = f"it cannot be reached now{why}; its last good lists are kept"
    elif listing is not None and listing.stale:
        reason = "its lists could not be read anew; the last good ones are kept"
    elif standing.unreplaced:
        reason = f"its new version does not start, and the one before serves: {standing.unreplaced}"
    elif listing is None or listing.tools == 0:
        reason = "it is reached and lists no tools: see its log and its settings"
    return ("degraded", reason) if reason else ("ready", "")


def status_of(standing: Standing, wanted: Wanted, berth: Berth, parts: Parts) -> ServerStatus:
    """Everything that may be shown."""
    phase, reason = phase_of(standing, wanted, berth, parts)
    listing = parts.catalogue.listing(wanted.id)
    launched = _launched(wanted, berth, parts)
    told = standing.told
    return ServerStatus(
        id=wanted.id,
        name=wanted.name,
        phase=phase,
        reason=reason,
        tools=listing.tools if listing else 0,
        prompts=listing.prompts if listing else 0,
        resources=listing.resources if listing else 0,
        stale=bool(listing and (listing.stale or berth.lost)),
        problems=list(listing.problems) if listing else [],
        spec=shown_spec(wanted.spec),
        package=_package(wanted) or (told.package if told else None),
        source=wanted.source,
        by=wanted.by,
        created=wanted.created,
        expires=wanted.expires,
        seconds_to_ready=told.seconds_to_ready if told else standing.seconds,
        restarts=launched.restarts if launched else told.restarts if told else 0,
        owner=standing.owner,
        server=_info(berth),
        revision=standing.revision,
    )


def told_of(standing: Standing, wanted: Wanted, berth: Berth, parts: Parts) -> Told:
    """What other replicas should know. An address that only this machine reaches is not told."""
    phase, reason = phase_of(standing, wanted, berth, parts)
    running, launched = berth.running, _launched(wanted, berth, parts)
    by_all = running is not None and (parts.place == "pod" or running.instance is None)
    endpoint = running.endpoint if running is not None and by_all else None
    # Headers may hold secrets, which others need not have: they come through here.
    direct = isinstance(endpoint, UrlEndpoint) and not endpoint.headers
    return Told(
        phase=phase,
        reason=reason,
        url=endpoint.url if isinstance(endpoint, UrlEndpoint) and direct else None,
        transport=endpoint.transport if isinstance(endpoint, UrlEndpoint) and direct else "http",
        server=_info(berth),
        package=_package(wanted),
        seconds_to_ready=standing.seconds,
        restarts=launched.restarts if launched else 0,
    )


def _launched(wanted: Wanted, berth: Berth, parts: Parts) -> Launched | None:
    return parts.launches.latest(berth.instance or wanted.instance)


def _package(wanted: Wanted) -> str | None:
    pin = wanted.launch.pin if wanted.launch else None
    return f"{pin.name}@{pin.version}" if pin else None


def _info(berth: Berth) -> ServerInfo | None:
    about = berth.running.upstream.about if berth.running else None
    return ServerInfo(name=about.name, version=about.version, revision=about.revision) if about else None
