"""`$regex` without backtracking."""

from __future__ import annotations

import re
import time
import warnings

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.toolsets.documents.errors import Refused
from app.toolsets.documents.patterns import compile_pattern

alphabet = st.sampled_from([*"ab1-|()*+?.^$[]c\n", "{1,2}", "{2}", "\\d", "\\w", "\\S", "[^a]", "[a-c]", "(?:"])
patterns = st.lists(alphabet, max_size=8).map("".join)
texts = st.text(alphabet="abc1-\n ", max_size=6)


@settings(max_examples=500, deadline=None)
@given(patterns, st.lists(texts, min_size=1, max_size=5))
def test_what_is_understood_means_what_it_means_to_others(pattern: str, asked: list[str]) -> None:
    try:
        found = compile_pattern(pattern, "", "filter")
    except Refused:
        return
    with warnings.catch_warnings(action="ignore"):
        expected = re.compile(pattern, re.ASCII)
    for text in asked:
        assert found(text) == bool(expected.search(text)), text


@pytest.mark.parametrize(
    ("pattern", "options", "yes", "no"),
    [
        ("^a.c$", "", "abc", "xabc"),
        ("a.c", "s", "a\nc", "ac"),
        ("STRASSE", "i", "die strasse", "straße"),
        ("[à-é]+$", "i", "È", "z"),
        ("colou?r|gr[ae]y", "", "the grey one", "gry"),
        (r"\$\d+\.\d{2}", "", "costs $10.50", "costs $10.5"),
        ("^(ab){2,3}$", "", "ababab", "abababab"),
        ("a{2,}b", "", "aaab", "ab"),
        (r"^[\w.-]+@[\w-]+\.[a-z]{2,}$", "", "ada@example.org", "ada@example"),
        ("(^$)", "", None, "x"),
        ("^$", "", "", "x"),
        (r"[\]x-]", "", "-", "y"),
        ("\U0001f600+", "", "\U0001f600", "x"),
        (".*?b", "", "ab", "a"),
    ],
)
def test_a_pattern_finds_what_it_describes(pattern: str, options: str, yes: str | None, no: str) -> None:
    if yes is None:
        with pytest.raises(Refused):
            compile_pattern(pattern, options, "filter")
        return
    found = compile_pattern(pattern, options, "filter")
    assert found(yes)
    assert not found(no)


@pytest.mark.parametrize(
    "pattern", ["(a+)+$", "(a|a)*$", "(.*a){20}", "a?" * 30 + "a" * 30, "(x+x+)+y", ".*a.*b.*c.*d"]
)
def test_no_pattern_takes_long(pattern: str) -> None:
    found = compile_pattern(pattern, "", "filter")
    began = time.process_time()
    found("a" * 50_000 + "x" * 50_000 + "!")
    # A backtracking engine needs hours for some of these; the wide limit is for slow machines.
    assert time.process_time() - began < 5


@pytest.mark.parametrize(
    ("pattern", "options", "fault"),
    [
        ("(?=a)", "", r"a group that begins with \(\?"),
        ("(?P<x>a)", "", r"a group that begins with \(\?"),
        (r"(a)\1", "", r"\\1"),
        (r"\bword", "", r"\\b"),
        (r"\p{L}", "", r"\\p"),
        ("a(b", "", r"a \( without its \)"),
        ("a)", "", r"a \) without its \("),
        ("[a", "", r"a \[ without its \]"),
        ("[b-a]", "", "a range that ends before it begins"),
        ("[[:alpha:]]", "", "a named class"),
        ("*a", "", r"a \* that repeats nothing"),
        ("a**", "", "a quantifier after another"),
        ("a++", "", "a possessive quantifier"),
        ("a{2,1}", "", "the lower first"),
        ("a{500}", "", "from 0 to 200"),
        ("a{x}", "", "counts nothing"),
        ("a^b", "", r"a \^ inside"),
        ("a\\", "", r"a \\ at the end"),
        ("(a{200}){200}", "", "too large"),
        ("((((((){200}){200}){200}){200}){200})", "", "too large"),
        ("(" * 30 + ")" * 30, "", "nested more than 20 deep"),
        ("x" * 1_001, "", "send at most 1000"),
        ("a", "x", r"\$options"),
    ],
)
def test_what_is_not_understood_is_refused_with_what_is(pattern: str, options: str, fault: str) -> None:
    with pytest.raises(Refused, match=fault):
        compile_pattern(pattern, options, "filter.name.$regex")
