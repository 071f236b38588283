"""The pages in a browser, as a person uses them while agents work."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

HOSTILE = (
    "<img src=x onerror=\"document.title='hacked'\">",
    "</script><script>document.title='hacked'</script>",
    "{{7*7}} ${7*7} <%= 7*7 %>",
    "evil\u202egnp.exe",
    "nul\u0000 bell\u0007 escape\u001b[31m",
    "__proto__",
)


def pin_place(page: Page, number: int = 0) -> tuple[float, float]:
    """Where a marker is drawn, in pixels of the map."""
    pin = page.locator("#chart .pin").nth(number)
    expect(pin).to_have_attribute("transform", re.compile("translate"))
    transform = pin.get_attribute("transform")
    x, y = re.findall(r"-?[\d.]+", transform or "")
    return float(x), float(y)


def tool_form(page: Page, name: str) -> Any:
    """The form of a tool, opened."""
    page.locator(f"summary:has-text('{name}')").first.click()
    return page.locator(f"form[data-tool='{name}']")


def test_a_tool_is_tried_from_its_form_and_the_page_tells_of_the_call(open_page, server):
    page = open_page("/").page
    form = tool_form(page, "echo")
    form.locator("[name=text]").fill(HOSTILE[0])
    form.get_by_role("button").click()
    expect(form.locator("output")).to_have_text(HOSTILE[0])
    expect(page.locator("#live-calls tbody tr").first).to_contain_text("echo")
    expect(page.locator("#live-calls tbody tr").first).to_contain_text("slipway-page")
    assert "hacked" not in page.title()


def test_what_a_tool_refuses_is_shown_with_the_remedy(open_page):
    page = open_page("/").page
    form = tool_form(page, "remove_marker")
    form.locator("[name=id]").fill("nobody")
    form.get_by_role("button").click()
    expect(form.locator("output.wrong")).to_have_text(re.compile("There is no marker 'nobody'.*get_state"))


def test_a_form_of_the_map_puts_a_marker_on_the_map_that_is_open_beside(open_page):
    chart = open_page("/map/default").page
    page = open_page("/").page
    form = tool_form(page, "add_marker")
    form.locator("[name=latitude]").fill("64.15")
    form.locator("[name=longitude]").fill("-21.94")
    form.locator("[name=label]").fill("Reykjavík")
    form.get_by_role("button").click()
    expect(chart.locator("#markers li")).to_contain_text("Reykjavík")
    expect(chart.locator("#chart .pin text")).to_have_text("Reykjavík")


def test_a_marker_that_another_client_moves_moves_on_the_map(open_page, server):
    page = open_page("/map/trip").page
    expect(page.locator("#connection")).to_have_attribute("data-state", "live")
    expect(page.locator("#markers-none")).to_be_visible()
    server.call("add_marker", id="ship", latitude=0, longitude=0, label="Ship", map_session="trip")
    expect(page.locator("#markers li")).to_contain_text("0.0000° N, 0.0000° E")
    before = pin_place(page)
    server.call("update_marker", id="ship", latitude=40, longitude=-60, map_session="trip")
    expect(page.locator("#markers li")).to_contain_text("40.0000° N, 60.0000° W")
    expect(page.locator("#chart .pin")).not_to_have_attribute(
        "transform", f"translate({before[0]:.1f} {before[1]:.1f})"
    )
    after = pin_place(page)
    assert after[0] < before[0]
    assert after[1] < before[1]
    server.call("remove_marker", id="ship", map_session="trip")
    expect(page.locator("#markers li")).to_have_count(0)
    expect(page.locator("#chart .pin")).to_have_count(0)


def test_the_page_notices_a_lost_connection_and_catches_up_when_it_is_back(open_page, server):
    opened = open_page("/map/trip")
    opened.expect_errors("ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED", "ERR_CONNECTION_RESET", "ERR_EMPTY")
    page = opened.page
    server.call("add_marker", id="old", latitude=1, longitude=2, label="Before", map_session="trip")
    expect(page.locator("#markers li")).to_contain_text("Before")
    server.stop()
    expect(page.locator("#connection")).to_have_attribute("data-state", "lost")
    expect(page.locator("#connection")).to_have_text("The connection is lost: trying again.")
    expect(page.locator("#markers li")).to_contain_text("Before")  # what is known stays on the screen
    server.start()
    server.call("add_marker", id="new", latitude=3, longitude=4, label="After", map_session="trip")
    expect(page.locator("#connection")).to_have_attribute("data-state", "live")
    # The maps were in the memory of the process that ended.
    expect(page.locator("#markers li")).to_have_count(1)
    expect(page.locator("#markers li")).to_contain_text("After")


def test_two_replicas_on_one_redis_show_one_map_and_one_takes_over_from_the_other(open_page, make_server, redis_url):
    a, b = (make_server(REDIS_URL=redis_url, MCP_TOOLSETS="map") for _ in range(2))
    opened = open_page("/map/trip", of=a)
    opened.expect_errors("ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED", "ERR_CONNECTION_RESET", "ERR_EMPTY")
    here, there = opened.page, open_page("/map/trip", of=b).page
    b.call("add_marker", id="ship", latitude=10, longitude=20, label="Ship", map_session="trip")
    for page in (here, there):
        expect(page.locator("#markers li")).to_contain_text("10.0000° N, 20.0000° E")
    a.stop()
    expect(here.locator("#connection")).to_have_attribute("data-state", "lost")
    b.call("update_marker", id="ship", latitude=-10, map_session="trip")
    expect(there.locator("#markers li")).to_contain_text("10.0000° S, 20.0000° E")
    a.start()
    expect(here.locator("#markers li")).to_contain_text("10.0000° S, 20.0000° E")


def test_the_view_that_an_agent_sets_is_followed_until_a_person_says_no(open_page, server):
    page = open_page("/map/trip").page
    expect(page.locator("#connection")).to_have_attribute("data-state", "live")
    server.call("set_view", latitude=48.2, longitude=16.4, zoom=5, map_session="trip")
    expect(page.locator("#place")).to_have_text("48.2000° N, 16.4000° E")
    page.locator("#follow").uncheck()
    server.call("set_view", latitude=-33.9, longitude=151.2, zoom=5, map_session="trip")
    server.call("add_marker", id="m", latitude=0, longitude=0, map_session="trip")
    expect(page.locator("#markers li")).to_have_count(1)
    expect(page.locator("#place")).to_have_text("48.2000° N, 16.4000° E")
    page.locator("#follow").check()
    expect(page.locator("#place")).to_have_text("33.9000° S, 151.2000° E")


def test_a_layer_is_hidden_for_everybody_by_a_tick(open_page, server):
    area = {"type": "Polygon", "coordinates": [[[170, -10], [-170, -10], [-170, -25], [170, -25], [170, -10]]]}
    server.call("add_layer", name="Zone", geojson=area, map_session="trip")
    page, other = open_page("/map/trip").page, open_page("/map/trip").page
    expect(other.locator("#chart .layer")).to_have_attribute("display", "inline")
    page.get_by_label("Zone").uncheck()
    expect(other.locator("#chart .layer")).to_have_attribute("display", "none")
    expect(other.get_by_label("Zone")).not_to_be_checked()
    state = server.call("get_state", map_session="trip")
    assert state["layers"][0]["visible"] is False


def test_an_area_across_the_antimeridian_is_drawn_as_one_and_not_around_the_world(open_page, server):
    area = {"type": "Polygon", "coordinates": [[[170, -10], [-170, -10], [-170, -25], [170, -25], [170, -10]]]}
    server.call("add_layer", name="Zone", geojson=area)
    page = open_page("/map/default").page
    path = page.locator("#chart .layer .areas").first
    expect(path).to_be_attached()
    width = path.evaluate("path => path.getBBox().width")
    assert width == pytest.approx(20, abs=0.1)


def test_markers_at_the_poles_and_on_both_sides_of_the_antimeridian_are_on_the_map(open_page, server):
    for latitude, longitude in ((90, 0), (-90, 0), (0, 180), (0, -180)):
        server.call("add_marker", latitude=latitude, longitude=longitude)
    page = open_page("/map/default").page
    expect(page.locator("#chart .pin")).to_have_count(4)
    box = page.locator("#chart").bounding_box()
    assert box is not None
    places = [pin_place(page, number) for number in range(4)]
    assert all(0 <= x <= box["width"] and 0 <= y <= box["height"] for x, y in places)
    assert places[0][1] < places[2][1] < places[1][1]


def test_hostile_text_is_shown_and_does_nothing(open_page, server):
    for number, text in enumerate(HOSTILE):
        server.call("add_marker", id=f"m{number}", latitude=0, longitude=number, label=text, description=text)
        shape = {"type": "Feature", "properties": {"name": text}, "geometry": {"type": "Point", "coordinates": [0, 0]}}
        server.call("add_layer", name=text, geojson=shape)
    server.call("add_marker", id="__proto__", latitude=10, longitude=10, label="an odd id")
    page = open_page("/map/default").page
    expect(page.locator("#markers li")).to_have_count(len(HOSTILE) + 1)
    expect(page.locator("#layers li")).to_have_count(len(HOSTILE))
    shown = page.locator("#markers bdi").all_inner_texts()
    assert shown[:3] == list(HOSTILE[:3])
    assert shown[3] == "evil\ufffdgnp.exe"
    assert shown[4] == "nul\ufffd bell\ufffd escape\ufffd[31m"
    page.locator("#markers button").first.click()
    expect(page.locator("#markers p").first).to_have_text(HOSTILE[0])
    assert page.title() == "Map default"
    assert page.locator("#markers img, #markers script, svg script").count() == 0
    server.call("clear")
    expect(page.locator("#chart .pin, #chart .layer")).to_have_count(0)


def test_the_map_is_used_by_keyboard_alone(open_page, server):
    server.call("add_marker", id="m", latitude=20, longitude=30, label="There", description="A place to be.")
    page = open_page("/map/default").page
    expect(page.locator("#markers li")).to_have_count(1)
    page.locator("#chart").focus()
    page.keyboard.press("+")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#place")).not_to_have_text("0.0000° N, 0.0000° E")
    button = page.get_by_role("button", name="There")
    button.focus()
    page.keyboard.press("Enter")
    expect(button).to_have_attribute("aria-expanded", "true")
    expect(page.locator("#markers p")).to_have_text("A place to be.")
    expect(page.locator("#place")).to_have_text("20.0000° N, 30.0000° E")
    expect(page.locator("#chart .pin.picked")).to_have_count(1)


def test_the_map_is_dragged_and_zoomed_by_pointer(open_page):
    page = open_page("/map/default").page
    expect(page.locator("#chart .land")).to_have_count(1)
    box = page.locator("#chart").bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x + 200, y)
    page.mouse.wheel(0, -400)
    expect(page.locator("#place")).not_to_have_text("0.0000° N, 0.0000° E")
    zoomed = page.locator("#place").inner_text()
    page.mouse.down()
    page.mouse.move(x, y + 60, steps=4)
    page.mouse.up()
    expect(page.locator("#place")).not_to_have_text(zoomed)
    page.get_by_role("button", name="World").click()
    expect(page.locator("#place")).to_have_text("0.0000° N, 0.0000° E")


@pytest.mark.parametrize("path", ["/", "/map/default"])
def test_a_page_fits_a_phone_and_has_a_light_and_a_dark_face(open_page, server, path):
    server.call("add_marker", latitude=0, longitude=0, label="w" * 200, description="x" * 2000)
    grounds = set()
    for scheme in ("light", "dark"):
        page = open_page(path, width=360, height=740, color_scheme=scheme, has_touch=True, is_mobile=True).page
        expect(page.locator("#live-calls tbody tr, #markers li").first).to_be_attached()
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        grounds.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert len(grounds) == 2


def test_with_a_token_the_page_and_the_map_open_once_it_is_given(open_page, make_server):
    token = "a-token-of-more-than-16"
    server = make_server(MCP_AUTH_TOKENS=token)
    server.call("add_marker", latitude=0, longitude=0, label="Secret", map_session="trip")
    opened = open_page("/map/trip", of=server)
    opened.expect_errors("401 (Unauthorized)")
    page = opened.page
    expect(page.locator("#connection")).to_have_attribute("data-state", "token")
    page.get_by_label("Token").fill(token)
    page.get_by_role("button", name="Show the map").click()
    expect(page.locator("#markers li")).to_contain_text("Secret")
    page.goto(f"{server.url}/")  # the tab remembers
    expect(page.locator("summary", has_text="add_marker")).to_be_visible()
    expect(page.locator("#live")).to_be_visible()


def test_the_pages_can_be_shown_to_newcomers(open_page, server, shoot):
    """What the README shows; written anew with `--screenshots`."""
    ports = {
        "Rotterdam": (51.95, 4.14),
        "Santos": (-23.95, -46.33),
        "Cape Town": (-33.92, 18.42),
        "Singapore": (1.26, 103.84),
    }
    for name, (latitude, longitude) in ports.items():
        server.call("add_marker", latitude=latitude, longitude=longitude, label=name, map_session="fleet")
    way = [[longitude, latitude] for latitude, longitude in ports.values()]
    routes = {"type": "LineString", "coordinates": way}
    server.call("add_layer", name="Route", geojson=routes, color="#7a4fb5", map_session="fleet")
    zone = {"type": "Polygon", "coordinates": [[[45, 5], [70, 5], [70, 22], [45, 15], [45, 5]]]}
    server.call("add_layer", name="Storm", geojson=zone, color="#c2571a", map_session="fleet")
    size = {"width": 1000, "height": 600}
    for scheme in ("light", "dark"):
        page = open_page("/map/fleet", color_scheme=scheme, reduced_motion="reduce", **size).page
        expect(page.locator("#markers li")).to_have_count(4)
        expect(page.locator("#chart .land")).to_have_count(1)
        shoot(page, "map" if scheme == "light" else "map-dark")
        page = open_page("/", color_scheme=scheme, **size).page
        expect(page.locator("#live-calls tbody tr").first).to_contain_text("add_layer")
        page.locator("#tools-title").evaluate("title => title.scrollIntoView()")
        shoot(page, f"page-{scheme}")
    assert json.dumps(server.call("get_state", map_session="fleet")["markers"][0]["label"]) == '"Rotterdam"'
