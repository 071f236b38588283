"""Versions in their order, and the ranges that callers ask for."""

from __future__ import annotations

import contextlib
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.mesh.versions import VersionError, parse_range, parse_version

ORDER = [
    "1.0.0-alpha",
    "1.0.0-alpha.1",
    "1.0.0-alpha.beta",
    "1.0.0-beta",
    "1.0.0-beta.2",
    "1.0.0-beta.11",
    "1.0.0-rc.1",
]


def matches(wanted: str, version: str) -> bool:
    return parse_range(wanted).matches(parse_version(version))


def test_prereleases_come_before_their_release_in_the_order_of_the_specification() -> None:
    for lower, higher in pairwise([*ORDER, "1.0.0", "1.0.1", "1.1.0", "2.0.0"]):
        assert parse_version(lower) < parse_version(higher)


def test_build_metadata_is_no_part_of_the_order() -> None:
    assert parse_version("1.0.0+a") == parse_version("1.0.0+b")


@pytest.mark.parametrize(
    ("wanted", "inside", "outside"),
    [
        ("^1.2", ["1.2.0", "1.9.9"], ["1.1.9", "2.0.0", "2.0.0-rc.1"]),
        ("^0.2.3", ["0.2.3", "0.2.9"], ["0.3.0"]),
        ("^0.0.3", ["0.0.3"], ["0.0.4"]),
        ("~1.2.3", ["1.2.3", "1.2.9"], ["1.3.0"]),
        ("~1", ["1.0.0", "1.9.0"], ["2.0.0"]),
        ("1.x", ["1.0.0", "1.5.0"], ["2.0.0", "0.9.0"]),
        ("1.2", ["1.2.0", "1.2.7"], ["1.3.0"]),
        ("1.2.3", ["1.2.3"], ["1.2.4"]),
        (">=1.0 <2.0", ["1.0.0", "1.9.0"], ["2.0.0", "0.9.0"]),
        (">= 1.0, < 2.0", ["1.5.0"], ["2.0.0"]),
        (">1.2", ["1.3.0"], ["1.2.9"]),
        ("<=1.2", ["1.2.9"], ["1.3.0"]),
        ("1.0.0 - 2.0.0", ["1.0.0", "2.0.0"], ["2.0.1"]),
        ("1 || 3.1.x", ["1.1.0", "3.1.4"], ["2.0.0", "3.2.0"]),
        ("*", ["0.0.1", "9.9.9"], ["1.0.0-rc.1"]),
        ("latest", ["1.0.0"], ["1.0.0-rc.1"]),
        (">=1.0.0-rc.1", ["1.0.0-rc.2", "1.0.0", "2.0.0"], ["1.0.0-beta", "2.0.0-rc.1"]),
        ("<2.0.0", ["1.9.9"], ["2.0.0-rc.1"]),
    ],
)
def test_a_range_has_what_it_says(wanted: str, inside: list[str], outside: list[str]) -> None:
    assert [version for version in inside if not matches(wanted, version)] == []
    assert [version for version in outside if matches(wanted, version)] == []


@pytest.mark.parametrize(
    "text", ["1", "1.2", "01.2.3", "1.2.3-", "v1.2.3", "1.2.3 ", "", "1.2.3-01", "9" * 10 + ".0.0", "1" * 99]
)
def test_what_is_no_version_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(VersionError, match=r"1\.4\.0"):
        parse_version(text)


@pytest.mark.parametrize("text", ["newest", "^^1", "1.2.3.4", ">=", "1 2 x y", "^1.2 |", "=>1"])
def test_what_is_no_range_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(VersionError, match=r"\^1\.2"):
        parse_range(text)


def test_a_range_of_a_megabyte_is_refused_at_once() -> None:
    with pytest.raises(VersionError, match="characters long"):
        parse_range("1 || " * 200_000)


@given(st.text(max_size=80))
def test_no_text_breaks_the_parser(text: str) -> None:
    for parse in (parse_range, parse_version):
        with contextlib.suppress(VersionError):
            parse(text)


@given(st.tuples(*[st.integers(0, 50)] * 3))
def test_a_version_is_in_its_own_caret_range(numbers: tuple[int, int, int]) -> None:
    version = ".".join(map(str, numbers))
    assert matches(f"^{version}", version)
    assert matches(f"~{version}", version)
