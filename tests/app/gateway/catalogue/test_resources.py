"""Addresses of several servers' resources: their own where only one has them, else marked with the server's id."""

from app.gateway.catalogue.addresses import mark, matches, without_mark


async def two(catalogue, scripted):
    one = scripted(
        resources=[{"uri": "note:1", "name": "n"}, {"uri": "same:x", "name": "s", "mimeType": "a/b"}],
        templates=[{"uriTemplate": "note:{id}", "name": "t"}],
    )
    two = scripted(
        resources=[{"uri": "same:x", "name": "s2"}, {"uri": "file:///a", "name": "f"}],
        templates=[{"uriTemplate": "db://{table}/{+rest}", "name": "d"}],
    )
    for server in (one, two):

        async def read(params, downstream, server=server):
            return {"contents": [{"uri": params["uri"], "text": "1" if server is one else "2", "own": True}]}

        server.answer("resources/read", read)
        server.answer("resources/subscribe", {})
        server.answer("resources/unsubscribe", {})
    await catalogue.put("one", one)
    await catalogue.put("two", two)
    return one, two


async def read(asker, catalogue, uri):
    (content,) = (await asker(catalogue.union).result("resources/read", {"uri": uri}))["contents"]
    return content


async def test_an_address_of_one_server_only_stays_as_it_is(catalogue, scripted, asker):
    await two(catalogue, scripted)
    assert await read(asker, catalogue, "note:1") == {"uri": "note:1", "text": "1", "own": True}
    assert await read(asker, catalogue, "file:///a") == {"uri": "file:///a", "text": "2", "own": True}


async def test_an_address_of_two_servers_is_marked_and_told(catalogue, scripted, asker):
    await two(catalogue, scripted)
    listed = await asker(catalogue.union).result("resources/list")
    marked = [item for item in listed["resources"] if "same" in item["uri"]]
    assert marked == [
        {"uri": "slipway.one+same:x", "name": "s", "mimeType": "a/b"},
        {"uri": "slipway.two+same:x", "name": "s2"},
    ]
    assert await read(asker, catalogue, "slipway.two+same:x") == {
        "uri": "slipway.two+same:x",
        "text": "2",
        "own": True,
    }
    assert catalogue.problems() == [
        "Several servers have 'same:x': each is served as slipway.one+same:x, slipway.two+same:x."
    ]
    error = await asker(catalogue.union).error("resources/read", {"uri": "same:x"})
    assert error["message"] == "Several servers have 'same:x': read one of slipway.one+same:x, slipway.two+same:x."
    alone = await asker(catalogue.server("two")).result("resources/read", {"uri": "same:x"})
    assert alone["contents"][0]["text"] == "2"


async def test_any_resource_can_be_read_by_its_mark(catalogue, scripted, asker):
    one, _ = await two(catalogue, scripted)
    assert (await read(asker, catalogue, "slipway.one+note:1"))["uri"] == "slipway.one+note:1"
    assert one.asked[-1] == ("resources/read", {"uri": "note:1"})
    error = await asker(catalogue.union).error("resources/read", {"uri": "slipway.nobody+note:1"})
    assert error["code"] == -32002


async def test_what_a_template_makes_is_read_from_its_server(catalogue, scripted, asker):
    await two(catalogue, scripted)
    assert (await read(asker, catalogue, "db://users/a/b"))["text"] == "2"
    assert (await read(asker, catalogue, "note:99"))["text"] == "1"


async def test_what_nobody_lists_is_read_from_the_only_server_with_such_addresses(catalogue, scripted, asker):
    await two(catalogue, scripted)
    assert (await read(asker, catalogue, "file:///not/listed"))["text"] == "2"
    for unknown in ("same:y", "gopher:z", "nothing"):
        assert (await asker(catalogue.union).error("resources/read", {"uri": unknown}))["code"] == -32002


async def test_a_resource_that_changed_is_told_under_each_of_its_addresses(catalogue, scripted):
    one, _ = await two(catalogue, scripted)
    told, alone = [], []
    catalogue.union.listen_updates(told.append)
    catalogue.server("one").listen_updates(alone.append)
    one.tell("notifications/resources/updated", {"uri": "note:1"})
    one.tell("notifications/resources/updated", {"nonsense": 1})
    assert (told, alone) == (["note:1", "slipway.one+note:1"], ["note:1"])


async def test_a_subscription_is_made_once_and_ended_with_the_last_who_wants_it(catalogue, scripted, turn):
    one, _ = await two(catalogue, scripted)
    union = catalogue.union
    await union.watch("note:1", "a")
    await union.watch("slipway.one+note:1", "b")
    union.unwatch("note:1", "a")
    assert one.asked == [("resources/subscribe", {"uri": "note:1"})]
    union.unwatch("note:1", "b")
    union.unwatch("note:1", "b")
    await turn(lambda: len(one.asked) == 2)
    assert one.asked[1] == ("resources/unsubscribe", {"uri": "note:1"})


async def test_a_subscription_that_the_server_refuses_is_refused(catalogue, scripted, asker):
    from app.gateway.upstream import UpstreamFailure

    one, _ = await two(catalogue, scripted)
    one.answer("resources/subscribe", UpstreamFailure(-32601, "no such method"))
    assert (await asker(catalogue.union).error("resources/subscribe", {"uri": "note:1"}))["code"] == -32601


async def test_a_subscription_is_made_again_with_a_new_life_of_the_server(catalogue, scripted, turn):
    await two(catalogue, scripted)
    await catalogue.union.watch("note:1", "a")
    again = scripted(resources=[{"uri": "note:1", "name": "n"}])
    again.answer("resources/subscribe", {})
    await catalogue.put("one", again)
    await turn(lambda: again.asked == [("resources/subscribe", {"uri": "note:1"})])


def test_marks_are_reversible():
    for uri in ("file:///a+b", "a:b", "slipway.x+y:z", "x"):
        assert without_mark(mark("s-1", uri)) == ("s-1", uri)
    for uri in ("slipway.", "slipway.a", "slipway.+x", "slipway.a+", "file:///a"):
        assert without_mark(uri) is None


def test_templates_match_what_they_make():
    assert matches("a:{x}", "a:1")
    assert not matches("a:{x}", "a:1/2")
    assert matches("a:{+x}", "a:1/2")
    assert matches("a:{/x*}", "a:/1/2")
    assert matches("a:b{?q,r}", "a:b")
    assert matches("a:b{?q,r}", "a:b?q=1&r=2")
    assert not matches("a:b{?q}", "a:bc")
    assert not matches("a:{x}", "b:1")
    assert not matches("a:{+x}", "a:" + "x" * 10_000)
