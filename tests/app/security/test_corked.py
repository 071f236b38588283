"""Writes of one turn leave together, and none is lost at the end."""

import asyncio

import pytest

from app.security.corked import CorkedTransport


class Wire(asyncio.Transport):
    def __init__(self):
        super().__init__()
        self.sent = []

    def write(self, data):
        self.sent.append(bytes(data))

    def write_eof(self):
        self.sent.append("eof")

    def close(self):
        self.sent.append("closed")

    def abort(self):
        self.sent.append("aborted")

    def get_write_buffer_size(self):
        return 0


@pytest.fixture
async def corked():
    wire = Wire()
    return wire, CorkedTransport(wire, asyncio.get_running_loop())


async def next_turn():
    turned = asyncio.Event()
    asyncio.get_running_loop().call_soon(turned.set)
    await turned.wait()


async def test_what_is_written_in_one_turn_is_sent_at_once_and_in_order(corked):
    wire, transport = corked
    transport.write(b"head")
    transport.writelines([b"er ", b"body"])
    assert (wire.sent, transport.get_write_buffer_size()) == ([], 11)
    await next_turn()
    assert (wire.sent, transport.get_write_buffer_size()) == ([b"header body"], 0)
    transport.write(b"next")
    await next_turn()
    assert wire.sent == [b"header body", b"next"]


@pytest.mark.parametrize(("end", "mark"), [("close", "closed"), ("write_eof", "eof")])
async def test_what_is_held_is_sent_before_the_end(corked, end, mark):
    wire, transport = corked
    transport.write(b"last words")
    getattr(transport, end)()
    await next_turn()
    assert wire.sent == [b"last words", mark]


async def test_an_abort_sends_nothing_more(corked):
    wire, transport = corked
    transport.write(b"never")
    transport.abort()
    await next_turn()
    assert wire.sent == ["aborted"]
