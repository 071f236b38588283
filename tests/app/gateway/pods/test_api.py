"""Asking the Kubernetes API, and following it."""

import asyncio

import pytest

from app.gateway.pods.api import Api
from app.gateway.pods.watching import Told, Watching
from app.kubernetes import ApiAway, ApiError
from app.kubernetes.access import NoAccess, in_a_pod, of_pod

PODS = "/api/v1/namespaces/here/pods"


class Heard:
    """What a watch told, in order."""

    def __init__(self) -> None:
        self.told = []
        self._news = asyncio.Event()

    def listed(self, pods):
        self.told.append(("listed", [pod["metadata"]["name"] for pod in pods]))
        self._news.set()

    def changed(self, change, pod):
        self.told.append((change, pod["metadata"]["name"]))
        self._news.set()

    async def until(self, count):
        while len(self.told) < count:
            self._news.clear()
            await self._news.wait()
        return self.told


@pytest.fixture
async def watch(cluster):
    """Makes an open watch, which ends with the test."""
    made = []

    async def make():
        api, heard = cluster.api(), Heard()
        watching = Watching(api, PODS, {"labelSelector": "a=b"}, Told(heard.listed, heard.changed))
        made.append((watching, api))
        await watching.open(5.0)
        return watching, heard

    yield make
    for watching, api in made:
        await watching.close()
        await api.close()


async def test_a_busy_server_is_asked_again_and_a_refusal_is_told(cluster, say):
    cluster.answers = [say.status(429, **{"retry-after": "0"}), say.status(503), say.listed("7")]
    api = cluster.api()
    assert (await api.request("GET", PODS))["metadata"]["resourceVersion"] == "7"
    assert len(cluster.asked) == 3
    cluster.answers = [say.status(403, "Forbidden", "exceeded quota: few")]
    with pytest.raises(ApiError, match="exceeded quota: few") as refused:
        await api.create(PODS, say.pod("one"))
    assert (refused.value.status, refused.value.reason) == (403, "Forbidden")
    assert len(cluster.asked) == 4
    await api.close()


async def test_a_token_that_was_renewed_is_read_again_when_it_is_refused(cluster, say, tmp_path):
    file = tmp_path / "token"
    file.write_text("old")
    api = cluster.api(token_file=file)
    cluster.answers = [say.listed("1")]
    await api.request("GET", PODS)
    file.write_text("new")
    cluster.answers = [say.status(401), say.listed("1")]
    await api.request("GET", PODS)
    assert [request.headers["authorization"] for request in cluster.asked] == ["Bearer old", "Bearer old", "Bearer new"]
    await api.close()


async def test_a_server_that_is_not_there_is_away():
    from app.kubernetes.access import Access

    async def login():
        return Access(server="http://127.0.0.1:9")

    api = Api(login)
    with pytest.raises(ApiAway, match="cannot be reached"):
        await api.request("GET", PODS, patience=0.3)
    await api.close()


async def test_a_watch_that_breaks_goes_on_where_it_was(cluster, say, watch):
    cluster.answers = [
        say.listed("10", say.pod("one")),
        say.watched(
            {"type": "ADDED", "object": say.pod("two", "11")}, {"type": "BOOKMARK", "object": say.pod("", "15")}
        ),
        say.status(500, patience="0"),
        say.watched({"type": "DELETED", "object": say.pod("one", "16")}, stay=True),
    ]
    _, heard = await watch()
    assert await heard.until(3) == [("listed", ["one"]), ("ADDED", "two"), ("DELETED", "one")]
    assert [request.query.get("resourceVersion") for request in cluster.asked] == [None, "10", "15", "15"]
    assert {request.query["labelSelector"] for request in cluster.asked} == {"a=b"}


@pytest.mark.parametrize("told", ["as an answer", "as an event"])
async def test_a_watch_that_is_too_old_lists_anew(cluster, say, watch, told):
    gone = {"type": "ERROR", "object": {"code": 410, "reason": "Expired", "message": "too old"}}
    cluster.answers = [
        say.listed("10", say.pod("one")),
        say.status(410, "Expired") if told == "as an answer" else say.watched(gone),
        say.listed("90", say.pod("two")),
        say.watched({"type": "ADDED", "object": say.pod("three", "91")}, stay=True),
    ]
    _, heard = await watch()
    assert await heard.until(3) == [("listed", ["one"]), ("listed", ["two"]), ("ADDED", "three")]
    assert cluster.asked[3].query["resourceVersion"] == "90"


async def test_a_long_list_is_read_page_by_page(cluster, say, watch):
    from aiohttp import web

    async def first(_):
        return web.json_response({"metadata": {"continue": "more", "resourceVersion": "5"}, "items": [say.pod("one")]})

    cluster.answers = [first, say.listed("5", say.pod("two")), say.watched(stay=True)]
    _, heard = await watch()
    assert heard.told == [("listed", ["one", "two"])]
    assert cluster.asked[1].query["continue"] == "more"


async def test_lines_of_any_length_come_whole(cluster):
    from aiohttp import web

    long = "x" * 3_000_000

    async def answer(request):
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(f"one\n{long}\n\ntail".encode())
        return response

    cluster.answers = [answer]
    api = cluster.api()
    async with api.lines(PODS, {}, silence=5) as lines:
        assert [line.decode() async for line in lines] == ["one", long, "", "tail"]
    await api.close()


def test_a_pod_without_an_account_is_told_where_it_was_looked_for(tmp_path):
    assert not in_a_pod({"KUBERNETES_SERVICE_HOST": "10.96.0.1"}, tmp_path)
    with pytest.raises(NoAccess, match=str(tmp_path / "token")):
        of_pod({}, tmp_path)
    (tmp_path / "token").write_text("t")
    assert in_a_pod({"KUBERNETES_SERVICE_HOST": "10.96.0.1"}, tmp_path)
    assert not in_a_pod({}, tmp_path)
