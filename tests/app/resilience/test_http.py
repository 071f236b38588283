"""Content codings, unpacked in pieces."""

from __future__ import annotations

import gzip

import pytest

from app.resilience.http import AnswerBroken, unpacked


async def chunks(data: bytes, size: int = 1000):
    for start in range(0, len(data), size):
        yield data[start : start + size]


async def test_a_bomb_comes_in_pieces_no_larger_than_64_kib() -> None:
    packed = gzip.compress(b"a" * 10_000_000)
    sizes = [len(piece) async for piece in unpacked(chunks(packed, len(packed)), "gzip")]
    assert (max(sizes), sum(sizes)) == (65536, 10_000_000)


@pytest.mark.parametrize("size", [1, 7, 1000, 10**6])
async def test_what_was_packed_comes_out_however_it_was_cut(size: int) -> None:
    text = b"".join(b"line %d\n" % number for number in range(20_000))
    assert b"".join([piece async for piece in unpacked(chunks(gzip.compress(text), size), "GZIP")]) == text


@pytest.mark.parametrize(("data", "coding"), [(b"plain", "gzip"), (b"", "gzip"), (b"x", "br"), (b"x", "gzip, gzip")])
async def test_what_is_not_what_it_says_is_refused(data: bytes, coding: str) -> None:
    with pytest.raises(AnswerBroken):
        _ = [piece async for piece in unpacked(chunks(data), coding)]
