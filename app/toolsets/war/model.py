"""What the API tells, as far as we use it, in two forms: as it comes, and as tools answer.

Fields that the API may leave out are optional, and what it adds is passed over: it changes without notice.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Generic, TypeVar

import msgspec
from msgspec import Meta

Data = TypeVar("Data")

_MARKUP = re.compile(r"</?i(?:=\d+)?>")


class Failure(msgspec.Struct):
    """Why there is no data."""

    details: list[str] = []


class Pagination(msgspec.Struct, rename="camel"):
    """Which part of a list this is."""

    page: float = 1
    page_size: int = 0
    page_count: int = 0
    total: int = 0


class Envelope(msgspec.Struct, Generic[Data]):
    """What every endpoint answers."""

    data: Data | None = None
    pagination: Pagination | None = None
    error: Failure | str | None = None


class Named(msgspec.Struct):
    """A faction or a sector."""

    name: str


class Described(msgspec.Struct):
    """A biome or an effect."""

    name: str
    description: str = ""


class War(msgspec.Struct, rename="camel"):
    """The war itself."""

    index: Annotated[int, Meta(description="The number of the war")]
    start_date: str
    end_date: str
    time: Annotated[str, Meta(description="The game's own clock")]
    updated_at: Annotated[str, Meta(description="When the API last heard of it")] = ""


class ApiCampaign(msgspec.Struct, rename="camel"):
    """A campaign as it comes."""

    id: int
    type: int = 0
    count: int = 0
    created_at: str = ""


class ApiPlanet(msgspec.Struct, rename="camel"):
    """A planet as it comes; which relations are there depends on what was asked for."""

    id: int
    index: int
    name: str
    health: int = 0
    max_health: int = 0
    players: int = 0
    disabled: bool = False
    regeneration: float = 0
    liberation: float | None = None
    liberation_rate: float | None = None
    liberation_state: str | None = None
    position_x: float = 0
    position_y: float = 0
    owner: Named | None = None
    initial_owner: Named | None = None
    sector: Named | None = None
    biome: Described | None = None
    effects: list[Described] = []
    campaign: list[ApiCampaign] = []


class Statistics(msgspec.Struct, rename="camel"):
    """Totals, of the galaxy or of one planet."""

    missions_won: int
    missions_lost: int
    mission_time: Annotated[int, Meta(description="Seconds")] = 0
    bug_kills: int = 0
    automaton_kills: int = 0
    illuminate_kills: int = 0
    bullets_fired: int = 0
    bullets_hit: int = 0
    time_played: Annotated[int, Meta(description="Seconds")] = 0
    deaths: int = 0
    revives: int = 0
    friendly_kills: int = 0
    mission_success_rate: Annotated[float, Meta(description="Percent")] = 0
    accuracy: Annotated[float, Meta(description="Percent, as the game counts it: it can pass 100")] = 0


class Reward(msgspec.Struct):
    """What fulfilling an order brings."""

    type: int
    amount: int


class Task(msgspec.Struct, rename="camel"):
    """One part of an order, in the game's own numbers."""

    type: int
    values: list[int] = []
    value_types: list[int] = []


class ApiAssignment(msgspec.Struct, rename="camel"):
    """A major order as it comes."""

    id: int
    title: str
    briefing: str = ""
    description: str = ""
    expires_at: str = ""
    progress: list[int] | int = []
    reward: Reward | None = None
    tasks: list[Task] = []


class Source(msgspec.Struct, kw_only=True, rename="camel"):
    """How old an answer is."""

    age_seconds: Annotated[float, Meta(description="How long ago this was fetched")]
    stale: Annotated[bool, Meta(description="The API is away at present: this is the last that it said")]


class WarStatus(Source, kw_only=True):
    """The state of the war."""

    war: War


class PlanetSummary(msgspec.Struct, rename="camel"):
    """A planet, shortly."""

    id: int
    index: int
    name: str
    sector: str | None
    owner: str | None
    players: int
    health: int
    max_health: int
    liberation: Annotated[float | None, Meta(description="Percent")]
    liberation_rate: Annotated[float | None, Meta(description="Percent an hour")]
    liberation_state: str | None
    campaigns: Annotated[int, Meta(description="How many campaigns are fought for it now")]


class Planets(Source, kw_only=True):
    """Planets that match."""

    planets: list[PlanetSummary]
    total: Annotated[int, Meta(description="How many match, shown or not")]
    next_offset: Annotated[int | None, Meta(description="Send this as offset to see more")]


class Place(msgspec.Struct):
    """A place on the galactic map."""

    x: float
    y: float


class PlanetDetails(PlanetSummary, kw_only=True):
    """A planet with all that is known of it."""

    initial_owner: str | None
    disabled: bool
    regeneration: float
    position: Place
    biome: Described | None
    effects: list[Described]


class PlanetAnswer(Source, kw_only=True):
    """One planet."""

    planet: PlanetDetails


class CampaignSummary(msgspec.Struct, rename="camel"):
    """A campaign and the planet that it is fought for."""

    id: int
    type: Annotated[int, Meta(description="The game's own number for the kind of campaign")]
    count: int
    since: str
    planet: PlanetSummary


class Campaigns(Source, kw_only=True):
    """All campaigns of now, those with the most players first."""

    campaigns: list[CampaignSummary]


class StatisticsAnswer(Source, kw_only=True):
    """Totals."""

    of: Annotated[str, Meta(description="galaxy, or a planet's name")]
    statistics: Statistics


class MajorOrder(msgspec.Struct, rename="camel"):
    """What High Command asks of everybody."""

    id: int
    title: str
    briefing: str
    description: str
    expires_at: str
    progress: list[int]
    reward: Reward | None
    tasks: list[Task]


class MajorOrders(Source, kw_only=True):
    """The orders, the one that ends last first."""

    orders: list[MajorOrder]


def summary(planet: ApiPlanet) -> PlanetSummary:
    """A planet, shortly."""
    return PlanetSummary(**_shared(planet))


def details(planet: ApiPlanet) -> PlanetDetails:
    """A planet at length."""
    return PlanetDetails(
        **_shared(planet),
        initial_owner=planet.initial_owner.name if planet.initial_owner else None,
        disabled=planet.disabled,
        regeneration=planet.regeneration,
        position=Place(planet.position_x, planet.position_y),
        biome=planet.biome,
        effects=planet.effects,
    )


def order(assignment: ApiAssignment) -> MajorOrder:
    """An order without the game's markup."""
    progress = assignment.progress
    return MajorOrder(
        id=assignment.id,
        title=_plain(assignment.title),
        briefing=_plain(assignment.briefing),
        description=_plain(assignment.description),
        expires_at=assignment.expires_at,
        progress=[progress] if isinstance(progress, int) else progress,
        reward=assignment.reward,
        tasks=assignment.tasks,
    )


def _shared(planet: ApiPlanet) -> dict[str, Any]:
    return {
        "id": planet.id,
        "index": planet.index,
        "name": planet.name,
        "sector": planet.sector.name if planet.sector else None,
        "owner": planet.owner.name if planet.owner else None,
        "players": planet.players,
        "health": planet.health,
        "max_health": planet.max_health,
        "liberation": planet.liberation,
        "liberation_rate": planet.liberation_rate,
        "liberation_state": planet.liberation_state,
        "campaigns": len(planet.campaign),
    }


def _plain(text: str) -> str:
    return _MARKUP.sub("", text).strip()
