"""Changes reach listeners on every replica, whatever carries them there."""

from typing import Any

import pytest

from app.protocol.changes import Change, Changes


class Remembering:
    def __init__(self) -> None:
        self.heard: list[Change] = []
        self.ended = False

    def put(self, change: Change) -> None:
        self.heard.append(change)

    def end(self) -> None:
        self.ended = True


@pytest.mark.parametrize(
    "change", [Change("tools"), Change("resource", "test://x"), Change("task", "t1", b'{"taskId":"t1"}')], ids=str
)
async def test_a_change_arrives_on_another_replica_as_it_was(change: Change) -> None:
    here, there = Changes(), Changes()

    async def carry(data: bytes) -> None:
        there.receive(data)

    here.relay = carry
    listener: Any = Remembering()
    with there.listen(listener):
        await here.announce(change)
    assert listener.heard == [change]


async def test_without_a_relay_a_change_is_told_at_once() -> None:
    changes, listener = Changes(), Remembering()
    with changes.listen(listener):
        changes.tell(Change("tools"))
        assert listener.heard == [Change("tools")]
    changes.tell(Change("prompts"))
    assert listener.heard == [Change("tools")]


async def test_who_listens_to_a_closed_server_is_ended_at_once() -> None:
    changes, listener = Changes(), Remembering()
    changes.close()
    with changes.listen(listener):
        assert listener.ended
