"""The tools that tell of the war."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from app.resilience import Kept
from app.resilience.http import HttpClient
from app.toolsets import Offer, ToolAnnotations, ToolFailure, ToolsetRegistry, tool
from app.toolsets.war.client import NoSuchThing, WarClient
from app.toolsets.war.model import (
    ApiPlanet,
    Campaigns,
    CampaignSummary,
    MajorOrders,
    PlanetAnswer,
    Planets,
    StatisticsAnswer,
    WarStatus,
    details,
    order,
    summary,
)

_READS = ToolAnnotations(read_only_hint=True, open_world_hint=True)

Part = Annotated[str, Meta(max_length=100)]
Name = Annotated[Part | None, Meta(description="Only planets with this in their name")]
Owner = Annotated[Part | None, Meta(description="Only planets of this faction, such as Humans or Terminids")]
Sector = Annotated[Part | None, Meta(description="Only planets of this sector")]
Contested = Annotated[bool, Meta(description="Only planets that a campaign is fought for")]
Limit = Annotated[int, Meta(ge=1, le=300, description="How many at most")]
Offset = Annotated[int, Meta(ge=0, le=100_000, description="How many to pass over")]
PlanetId = Annotated[int, Meta(ge=1, le=2**31 - 1)]
PlanetName = Annotated[str, Meta(min_length=1, max_length=100)]
Planet = Annotated[PlanetId | PlanetName, Meta(description="The planet's id or name, as get_planets tells them")]
OfPlanet = Annotated[PlanetId | PlanetName | None, Meta(description="A planet's id or name; the galaxy if left out")]


class WarTools:
    """The functions that become the tools, on one client."""

    def __init__(self, client: WarClient) -> None:
        self._client = client

    async def get_war_status(self) -> WarStatus:
        """Tell about the current galactic war of Helldivers 2: its number, when it began and when it ends."""
        kept = await self._client.war()
        return WarStatus(war=kept.value, age_seconds=_age(kept), stale=kept.stale)

    async def get_planets(
        self,
        name: Name = None,
        owner: Owner = None,
        sector: Sector = None,
        contested: Contested = False,
        limit: Limit = 50,
        offset: Offset = 0,
    ) -> Planets:
        """List planets with who holds them, how many fight there and how far their liberation is."""
        kept = await self._client.planets()
        found = [
            planet
            for planet in kept.value
            if _has(planet.name, name)
            and _is(planet.owner.name if planet.owner else "", owner)
            and _is(planet.sector.name if planet.sector else "", sector)
            and (planet.campaign or not contested)
        ]
        end = offset + limit
        return Planets(
            planets=[summary(planet) for planet in found[offset:end]],
            total=len(found),
            next_offset=end if end < len(found) else None,
            age_seconds=_age(kept),
            stale=kept.stale,
        )

    async def get_planet(self, planet: Planet) -> PlanetAnswer:
        """Tell all about one planet: owners, health, liberation, place, biome, effects."""
        number = await self._number(planet)
        try:
            kept = await self._client.planet(number)
        except NoSuchThing:
            raise _unknown(planet) from None
        return PlanetAnswer(planet=details(kept.value), age_seconds=_age(kept), stale=kept.stale)

    async def get_campaigns(self) -> Campaigns:
        """List the campaigns that are fought now, with their planets, those with the most players first."""
        kept = await self._client.planets()
        fought = [
            CampaignSummary(campaign.id, campaign.type, campaign.count, campaign.created_at, summary(planet))
            for planet in sorted(kept.value, key=lambda planet: -planet.players)
            for campaign in planet.campaign
        ]
        return Campaigns(campaigns=fought, age_seconds=_age(kept), stale=kept.stale)

    async def get_statistics(self, planet: OfPlanet = None) -> StatisticsAnswer:
        """Tell totals (missions, kills, deaths, time), of the galaxy or of one planet."""
        if planet is None:
            kept = await self._client.galaxy_statistics()
            return StatisticsAnswer(of="galaxy", statistics=kept.value, age_seconds=_age(kept), stale=kept.stale)
        number = await self._number(planet)
        try:
            kept = await self._client.planet_statistics(number)
        except NoSuchThing:
            raise _unknown(planet) from None
        return StatisticsAnswer(of=str(planet), statistics=kept.value, age_seconds=_age(kept), stale=kept.stale)

    async def get_major_orders(self) -> MajorOrders:
        """List the major orders: what High Command asks, how far it is done, what it brings, when it ends."""
        kept = await self._client.orders()
        latest = sorted(kept.value, key=lambda assignment: assignment.expires_at, reverse=True)
        orders = [order(assignment) for assignment in latest]
        return MajorOrders(orders=orders, age_seconds=_age(kept), stale=kept.stale)

    async def _number(self, planet: int | str) -> int:
        if isinstance(planet, int):
            return planet
        planets = (await self._client.planets()).value
        named = [each for each in planets if each.name.casefold() == planet.strip().casefold()]
        if not named:
            raise _unknown(planet, near=[each for each in planets if _has(each.name, planet.strip())])
        return named[0].id


def offers(registry: ToolsetRegistry) -> list[Offer]:
    """The tools, on the client that the wiring gave."""
    tools = WarTools(registry.given(WarClient) or WarClient(HttpClient(registry.about.name)))
    return [
        tool(title="War status", annotations=_READS)(tools.get_war_status),
        tool(title="Planets", annotations=_READS)(tools.get_planets),
        tool(title="One planet", annotations=_READS)(tools.get_planet),
        tool(title="Campaigns", annotations=_READS)(tools.get_campaigns),
        tool(title="Statistics", annotations=_READS)(tools.get_statistics),
        tool(title="Major orders", annotations=_READS)(tools.get_major_orders),
    ]


def _age(kept: Kept[object]) -> float:
    return round(kept.age, 1)


def _has(text: str, part: str | None) -> bool:
    return part is None or part.strip().casefold() in text.casefold()


def _is(text: str, wanted: str | None) -> bool:
    return wanted is None or wanted.strip().casefold() == text.casefold()


def _unknown(planet: int | str, near: list[ApiPlanet] | None = None) -> ToolFailure:
    shown = planet if isinstance(planet, int) else f'"{planet}"'
    hint = f" Did you mean {', '.join(each.name for each in near[:5])}?" if near else ""
    return ToolFailure(f"Argument 'planet' is {shown}: there is no such planet.{hint} get_planets lists all.")
