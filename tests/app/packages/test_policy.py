"""Allow and block lists."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.packages.policy import Policy, PolicyError, Rule


def refused(policy: Policy, reference: str, version: str | None = "1.0.0", path: tuple[str, ...] = ()) -> bool:
    ecosystem, _, name = reference.partition(":")
    return policy.refusal(ecosystem, name, version, path) is not None


def test_no_rules_allow_everything():
    assert not refused(Policy(), "npm:anything")


@pytest.mark.parametrize(
    ("rule", "inside", "outside"),
    [
        ("left-pad", ["npm:left-pad", "pypi:left-pad"], ["npm:left-pads"]),
        ("npm:left-pad", ["npm:left-pad"], ["pypi:left-pad"]),
        ("@acme/*", ["npm:@acme/x", "npm:@acme/y-z"], ["npm:acme", "npm:@acmes/x"]),
        ("*", ["npm:x", "npm:@a/b", "pypi:y"], []),
        ("mcp-server-?", ["npm:mcp-server-a"], ["npm:mcp-server-", "npm:mcp-server-ab"]),
        ("pypi:My_Pkg.*", ["pypi:my-pkg-x"], ["pypi:my-pkg"]),
        ("npm:a.b", ["npm:a.b"], ["npm:axb"]),
    ],
)
def test_patterns_are_whole_names_in_normal_form(rule, inside, outside):
    policy = Policy(block=[rule])
    assert [reference for reference in inside if not refused(policy, reference)] == []
    assert [reference for reference in outside if refused(policy, reference)] == []


@pytest.mark.parametrize(
    ("rule", "reference", "inside", "outside"),
    [
        ("npm:x@<2", "npm:x", ["1.9.9", "1.9.9-rc.1"], ["2.0.0"]),
        ("npm:@a/x@^1.2", "npm:@a/x", ["1.2.0", "1.9.0"], ["1.1.0", "2.0.0"]),
        ("pypi:x@>=1,<2", "pypi:x", ["1.0", "1.5rc1"], ["2.0", "0.9"]),
        ("pypi:x@1.5", "pypi:x", ["1.5", "1.5.0"], ["1.5.1"]),
        ("x@<2", "pypi:x", ["1.0"], ["2.0"]),
    ],
)
def test_ranges_are_those_of_the_registry(rule, reference, inside, outside):
    policy = Policy(block=[rule])
    assert [version for version in inside if not refused(policy, reference, version)] == []
    assert [version for version in outside if refused(policy, reference, version)] == []


def test_block_beats_allow_and_the_refusal_names_the_rule():
    refusal = Policy(allow=["*"], block=["npm:evil@<2"]).refusal("npm", "evil", "1.0.0")
    assert refusal is not None
    assert "npm:evil 1.0.0 is forbidden by the block rule 'npm:evil@<2'" in str(refusal)


def test_what_is_on_no_allow_list_is_refused_with_the_remedy():
    refusal = Policy(allow=["@acme/*"]).refusal("npm", "other", "1.0.0")
    assert "npm:other 1.0.0 is on no allow list: add it to packages.allow" in str(refusal)


def test_a_block_rule_holds_for_a_dependency_and_its_way_is_told():
    refusal = Policy(block=["pypi:bad"]).refusal("pypi", "bad", "1.0", ("top", "middle"))
    assert "(a dependency: top > middle)" in str(refusal)


def test_the_allow_list_holds_for_dependencies_only_where_it_is_strict():
    assert not refused(Policy(allow=["top"]), "npm:other", path=("top",))
    assert refused(Policy(allow=["top"], strict=True), "npm:other", path=("top",))


def test_a_version_that_is_not_known_is_blocked_and_not_allowed_by_a_range():
    assert refused(Policy(block=["npm:x@<2"]), "npm:x", None)
    assert refused(Policy(allow=["npm:x@<2"]), "npm:x", None)


def test_a_package_of_which_no_version_may_run_is_known_before_it_is_asked_for():
    assert not Policy(block=["evil"]).could_allow("npm", "evil")
    assert Policy(block=["evil@<2"]).could_allow("npm", "evil")
    assert Policy(allow=["npm:good@^1"]).could_allow("npm", "good")
    assert not Policy(allow=["good"]).could_allow("npm", "other")


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ("cargo:x", "write npm: or pypi:"),
        ("x@", "has no range"),
        ("x@^1", "A range of one registry needs npm: or pypi:"),
        ("pypi:x@^1", "is not a range of PyPI's"),
        ("npm:x@>=1,<2", "is not a version in a range"),
        ("a b", "is no rule"),
        ("", "is no rule"),
        ("npm:[a-z]", "is no rule"),
        ("x" * 301, "is no rule"),
    ],
)
def test_a_rule_that_cannot_be_read_is_told_with_its_place_and_the_remedy(rule, told):
    with pytest.raises(PolicyError) as caught:
        Policy(allow=["fine"], block=["fine", rule])
    (problem,) = caught.value.problems
    assert problem.startswith("packages.block[1] ")
    assert told in problem


def test_every_wrong_rule_is_told_at_once():
    with pytest.raises(PolicyError) as caught:
        Policy(allow=["a b"], block=["c d", "cargo:e"])
    assert len(caught.value.problems) == 3


def test_a_pattern_of_many_stars_takes_no_time():
    assert not refused(Policy(block=["*a" * 40 + "b"]), "npm:" + "a" * 200)


@given(st.from_regex(r"(@[a-z]{1,5}/)?[a-z][a-z0-9-]{0,10}", fullmatch=True))
def test_a_name_is_a_rule_for_itself(name):
    rule = Rule(f"npm:{name}")
    assert rule.meets("npm", name, "1.0.0", unknown=False)
    assert not rule.meets("pypi", name, "1.0", unknown=False)
    assert not rule.meets("npm", name + "x", "1.0.0", unknown=False)


@given(st.text("ab*?", min_size=1, max_size=6), st.text("ab", min_size=1, max_size=7))
def test_stars_and_question_marks_mean_what_they_do_everywhere(pattern, name):
    expected = re.fullmatch("".join({"*": ".*", "?": "."}.get(char, char) for char in pattern), name) is not None
    assert Rule(f"npm:{pattern}").meets("npm", name, "1.0.0", unknown=False) == expected
