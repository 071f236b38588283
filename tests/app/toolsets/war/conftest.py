"""The war's API as it was recorded, on this machine."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from loopback import Loopback, Request, as_json, loopback

from app.resilience import Backoff
from app.resilience.http import HttpClient
from app.toolsets.war.client import WarClient, WarLimits

NOW = {"createdAt": "2026-11-21T10:00:00.000Z", "updatedAt": "2026-11-21T11:00:00.000Z"}
WAR = {
    "id": 1,
    "index": 801,
    "startDate": "2024-01-23T20:05:13.000Z",
    "endDate": "2028-02-08T20:04:55.000Z",
    "time": "1972-11-11T20:12:10.000Z",
    **NOW,
}
STATISTICS = {
    "id": 1,
    "missionsWon": 232299033,
    "missionsLost": 24922081,
    "missionTime": 528222382946,
    "bugKills": "38471552786",  # the API writes large numbers as text at times
    "automatonKills": 15595777961,
    "illuminateKills": 28,
    "bulletsFired": 303336002871,
    "bulletsHit": 336527984287,
    "timePlayed": 528222382946,
    "deaths": 1411862056,
    "revives": 2,
    "friendlyKills": 191683618,
    "missionSuccessRate": 90,
    "accuracy": 100,
    **NOW,
}
ORDER = {
    "id": 7,
    "index": 3608,
    "type": 4,
    "title": "MAJOR ORDER",
    "briefing": "Hold <i=1>Heeth</i> against <b onmouseover=alert(1)>them</b>.",
    "description": "",
    "progress": [1, 0],
    "expiresAt": "2026-11-25T00:00:00.000Z",
    "reward": {"id": 1, "index": 9, "type": 1, "amount": 45, **NOW},
    "tasks": [{"id": 1, "type": 13, "values": [1, 1, 2], "valueTypes": [3, 11, 12], "assignmentId": 7, **NOW}],
    **NOW,
}


def planet(number: int, **changes: object) -> dict[str, object]:
    humans = {"id": 2, "index": 1, "name": "Humans", **NOW}
    terminids = {"id": 3, "index": 2, "name": "Terminids", **NOW}
    return {
        "id": number,
        "index": number - 1,
        "name": f"Planet {number}",
        "health": 1000000,
        "maxHealth": 1000000,
        "players": number,
        "disabled": False,
        "regeneration": 1388,
        "liberation": 12.5,
        "liberationRate": -0.5,
        "liberationState": "LOSING",
        "positionX": 0.25,
        "positionY": -0.5,
        "ownerId": 2,
        "owner": terminids if number % 2 else humans,
        "initialOwner": humans,
        "sector": {"id": 1, "index": 1, "name": "Altus", **NOW},
        "campaign": [{"id": number, "type": 0, "index": 5, "count": 3, **NOW}] if number in (3, 240) else [],
        "imageUrl": "https://example.org/a.webp",
        **NOW,
        **changes,
    }


PLANETS = [planet(number) for number in range(1, 261)]
PLANETS[2]["name"] = "Heeth"


def _planets(request: Request):
    start, limit = int(request.query["start"]), min(100, int(request.query["limit"]))
    pagination = {"page": start / limit + 1, "pageSize": limit, "pageCount": 3, "total": len(PLANETS)}
    return as_json({"data": PLANETS[start : start + limit], "error": None, "pagination": pagination})


@pytest.fixture
async def upstream() -> AsyncIterator[Loopback]:
    async with loopback() as api:
        heeth = planet(
            3,
            name="Heeth",
            biome={"id": 1, "index": "jungle", "name": "Jungle", "description": "Wet."},
            effects=[{"id": 1, "index": "rain", "name": "Rainstorms", "description": "Rain."}],
        )
        missing = {"data": None, "error": {"details": ["Planet with id (9999) not found"]}}
        api.routes = {
            "/api/war": as_json({"data": WAR, "error": None}),
            "/api/planets": _planets,
            "/api/planets/3": as_json({"data": heeth, "error": None}),
            "/api/planets/3/statistics": as_json({"data": {**STATISTICS, "deaths": 3}, "error": None}),
            "/api/planets/9999": as_json(missing, 404),
            "/api/planets/9999/statistics": as_json(missing, 404),
            "/api/statistics/galaxy": as_json({"data": STATISTICS, "error": None}),
            "/api/assignments": as_json({"data": [ORDER], "error": None, "pagination": None}),
        }
        yield api


@pytest.fixture
async def make_war(upstream: Loopback, caller):
    """Makes the toolset on the recorded API, with limits as named; `call(tool, **arguments)` decodes the answer."""
    clients: list[HttpClient] = []

    def make(**limits: float):
        http = HttpClient("test")
        clients.append(http)
        client = WarClient(http, f"{upstream.url}/api/", WarLimits(**limits))
        client.upstream._backoff = Backoff(base=0)
        call = caller("war", client)
        call.client = client  # type: ignore[attr-defined]
        return call

    yield make
    for http in clients:
        await http.close()


@pytest.fixture
def war(make_war):
    return make_war()
