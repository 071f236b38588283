import re

import pytest

from app.review.markdown import code, comment_safe
from app.review.paths import join, split

HOSTILE = [
    "a`b",
    "``` \n# heading",
    "`",
    "</details><script>alert(1)</script>",
    "![x](https://evil.example/p.png)",
    "@everyone",
    "a|b\n|--|--|",
    "x\u202egnp.exe",
    "zero\u200bwidth",
    "tab\there\x07",
    "",
    "  ",
    "<!-- -->",
    "line\r\n- item",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_stays_inside_its_code_span(step, look, name):
    markdown = look(step("delete", "Deployment", name, old={})).markdown
    [line] = [line for line in markdown.splitlines() if line.startswith("- ")]
    fence = re.match(r"- (`+)", line)[1]
    assert line.endswith(fence)
    inside = line[2 + len(fence) : -len(fence)]
    assert all(len(run) != len(fence) for run in re.findall("`+", inside))


@pytest.mark.parametrize("name", HOSTILE)
def test_a_code_span_is_one_line_without_control_characters(name):
    text = code(name)
    assert text.isprintable()
    assert "\n" not in text


def test_a_span_keeps_backticks_at_its_ends_apart_from_its_fence():
    assert code("`x`") == "`` `x` ``"
    assert code("a``b`c") == "```a``b`c```"


def test_a_very_long_value_is_cut():
    assert len(code("x" * 10_000)) < 200


def test_hostile_values_and_paths_stay_inside_their_spans(step, look):
    evil = "`</details>\n## Approved`"
    found = look(
        step("update", "ConfigMap", "x", old={"data": {evil: "a"}}, new={"data": {evil: evil}}, diff={"data": "update"})
    )
    assert "\n## Approved" not in found.markdown


def test_the_title_cannot_end_the_comment_that_marks_the_summary():
    assert comment_safe("dev --> <b>") == "dev-b"


def test_paths_are_split_and_joined_as_the_engine_writes_them():
    path = 'metadata.annotations["slipway.dev/checksum"][0].spec["a\\"b"]'
    assert split(path) == ("metadata", "annotations", "slipway.dev/checksum", 0, "spec", 'a"b')
    assert join(split(path)) == path
