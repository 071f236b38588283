"""What is said of a child: its log, its secrets, its numbers."""

import asyncio
import logging

import pytest
from prometheus_client import CollectorRegistry

from app.gateway.children.children import Children
from app.gateway.children.environment import base_environment, memory_bytes
from app.gateway.children.masking import Masker
from app.gateway.children.metrics import ChildMetrics
from app.gateway.children.restarts import Restarts
from app.gateway.children.tail import ErrorStream, Tail
from app.gateway.children.throttle import Notices, Throttle
from app.gateway.launcher import LaunchError


@pytest.mark.parametrize(
    ("environment", "said", "shown"),
    [
        ({"API_TOKEN": "abcd1234"}, "using abcd1234!", "using •••!"),
        ({"LOG_LEVEL": "debug"}, "level debug", "level debug"),
        ({"ANY": "ghp_1234567890abcdefghij"}, "ghp_1234567890abcdefghij", "•••"),
        ({"DB": "postgres://me:hunter22@host/db"}, "cannot log in with hunter22", "cannot log in with •••"),
        ({"PRIVATE_KEY": "-----BEGIN\nMIIabc\n-----END"}, "read MIIabc", "read •••"),
        ({"PASSWORD": "ab"}, "cabbage", "cabbage"),
        ({"A_KEY": "secret", "B_KEY": "secret-longer"}, "secret-longer", "•••"),
        ({"A_KEY": "a.c+(d"}, "abc a.c+(d", "abc •••"),
    ],
)
def test_secrets_of_the_environment_are_masked(environment, said, shown):
    assert Masker(environment)(said) == shown


def test_passwords_in_arguments_are_masked():
    assert Masker({}, ("psql", "postgres://me:hunter22@host/db"))("as hunter22") == "as •••"


async def test_a_follower_gets_the_last_lines_and_then_each_new_one():
    tail = Tail("server", str)
    for number in range(5):
        tail.add(b"%d" % number)
    following = tail.follow(2)
    assert [await anext(following), await anext(following)] == ["3", "4"]
    waiting = asyncio.ensure_future(anext(following))
    await asyncio.sleep(0)
    tail.add(b"five \xff\r")
    assert await waiting == "five \ufffd"
    await following.aclose()
    assert not tail._followers


def test_the_last_words_are_the_last_line_that_is_not_blank():
    tail = Tail("server", str)
    tail.add(b"Error: no key")
    tail.add(b"  ")
    assert tail.last == "Error: no key"


async def test_a_line_of_standard_error_without_an_end_is_kept():
    tail, ended = Tail("server", str), []
    stream = ErrorStream(tail, lambda: ended.append(1))
    stream.data_received(b"one\ntwo")
    stream.data_received(b"x" * 10_000)
    stream.data_received(b"\nthree")
    stream.connection_lost(None)
    assert tail.lines(5)[0] == "one"
    assert tail.lines(5)[1].endswith("… (10,003 bytes)")
    assert tail.lines(5)[2] == "three"
    assert ended == [1]


async def test_standard_error_is_logged_with_the_server(run, caplog):
    caplog.set_level(logging.INFO, "slipway.child")
    child = await run("crash", 1)
    await child.gone.wait()
    (record,) = (record for record in caplog.records if "flux" in record.message)
    assert record.fields == {"server": "hostile", "stream": "stderr"}


def test_notices_are_few_and_say_how_many_were_left_out(caplog):
    now = [0.0]
    notices = Notices(logging.getLogger("slipway.test"), "server", most=2, span=10.0, clock=lambda: now[0])
    for _ in range(7):
        notices.say(logging.WARNING, "again")
    now[0] = 11.0
    notices.say(logging.WARNING, "again")
    assert [record.fields.get("left_out") for record in caplog.records] == [None, None, 5]


def test_a_throttle_lets_so_much_through_a_second():
    now = [0.0]
    throttle = Throttle(100, clock=lambda: now[0])
    assert throttle.spend(100) == 0.0
    assert throttle.spend(100) == 1.0
    now[0] = 1.0
    assert throttle.spend(50) == 0.5


def test_a_slow_writer_is_never_throttled():
    now = [0.0]
    throttle = Throttle(100, clock=lambda: now[0])
    for second in range(100):
        now[0] = float(second)
        assert throttle.spend(80) == 0.0


def test_restarts_come_later_and_later_and_then_seldom():
    restarts = Restarts(attempts=4, base=1.0, most=3.0, slow=60.0, jitter=lambda: 1.0)
    assert [restarts.wait(ends) for ends in range(1, 6)] == [1.0, 2.0, 3.0, 60.0, 60.0]
    assert [restarts.failed(ends) for ends in range(1, 6)] == [False, False, False, True, True]
    assert Restarts(jitter=lambda: 0.0).wait(1) == 0.1


@pytest.mark.parametrize(
    ("quantity", "count"), [("512Mi", 512 << 20), ("1.5Gi", 3 << 29), ("100", 100), ("2G", 2 * 10**9)]
)
def test_memory_is_given_as_kubernetes_gives_it(quantity, count):
    assert memory_bytes(quantity) == count


def test_memory_that_is_no_quantity_is_refused_with_an_example():
    with pytest.raises(ValueError, match="512Mi"):
        memory_bytes("half a gigabyte")


def test_a_child_is_given_little_of_our_environment():
    own = {
        "PATH": "/bin",
        "HOME": "/home/me",
        "AWS_SECRET_ACCESS_KEY": "x",
        "HTTPS_PROXY": "http://proxy",
        "NPM_CONFIG_CACHE": "/cache",
        "UV_PUBLISH_TOKEN": "x",
    }
    assert base_environment(own) == {
        "PATH": "/bin",
        "LANG": "C.UTF-8",
        "HTTPS_PROXY": "http://proxy",
        "NPM_CONFIG_CACHE": "/cache",
        "UV_CACHE_DIR": "/home/me/.cache/uv",
        "UV_PYTHON_INSTALL_DIR": "/home/me/.local/share/uv/python",
        "PLAYWRIGHT_BROWSERS_PATH": "/home/me/.cache/ms-playwright",
    }


async def test_children_are_counted(folder, tail, request):
    from children_commands import hostile

    registry = CollectorRegistry()
    children = Children(folder=folder, metrics=ChildMetrics(registry))

    def value(name, **labels):
        return registry.get_sample_value(name, labels)

    child = await children.start(hostile("daemon"), tail)
    assert await anext(child.lines) == b'{"ready":true}'
    assert value("slipway_children", state="running") == 1
    child.end()
    assert value("slipway_children", state="running") == 0
    assert value("slipway_children", state="stopping") == 1
    await child.stop()
    with pytest.raises(LaunchError):
        await children.start(hostile("echo", argv=("no-such-program",)), tail)
    await children.close()
    assert value("slipway_children", state="starting") == value("slipway_children", state="stopping") == 0
    assert value("slipway_children_started_total") == 1
    assert value("slipway_children_reaped_total") == 1
    assert value("slipway_children_orphans_total") == 2
