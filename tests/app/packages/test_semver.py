"""npm's versions and ranges, by tables, by properties, and against npm's own code where it is installed."""

from __future__ import annotations

import json
import random
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.packages.semver import NotSemver, Range, Version

ORDER = ["0.0.1-0", "0.0.1", "0.1.0", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta.2"]
ORDER += ["1.0.0-beta.11", "1.0.0-rc.1", "1.0.0", "1.0.1", "1.2.0", "1.10.0", "2.0.0"]


def test_versions_are_ordered_as_the_specification_says():
    shuffled = [Version(text) for text in ORDER]
    random.Random(1).shuffle(shuffled)
    assert [version.text for version in sorted(shuffled)] == ORDER


def test_build_metadata_does_not_count():
    assert Version("1.0.0+one") == Version("1.0.0+two")
    assert len({Version("1.0.0+one"), Version("1.0.0")}) == 1


@pytest.mark.parametrize(
    "text", ["1", "1.2", "1.2.x", "v1.2.3", "01.2.3", "1.2.3-", "1.2.3-01", "1.2.3 ", "", "9" * 300]
)
def test_what_is_no_version_is_refused(text):
    with pytest.raises(NotSemver):
        Version(text)


@pytest.mark.parametrize(
    ("limits", "inside", "outside"),
    [
        ("1.2.3", ["1.2.3"], ["1.2.4", "1.2.3-rc.1"]),
        ("^1.2.3", ["1.2.3", "1.9.9"], ["1.2.2", "2.0.0", "2.0.0-alpha", "1.3.0-rc.1"]),
        ("^0.2.3", ["0.2.3", "0.2.9"], ["0.3.0", "0.2.2"]),
        ("^0.0.3", ["0.0.3"], ["0.0.4"]),
        ("^0", ["0.0.1", "0.9.0"], ["1.0.0"]),
        ("~1.2.3", ["1.2.3", "1.2.9"], ["1.3.0"]),
        ("~1", ["1.0.0", "1.9.0"], ["2.0.0"]),
        ("1.x || >=2.5.0 <3", ["1.0.0", "2.5.0", "2.9.9"], ["2.4.0", "3.0.0"]),
        ("1.2 - 2.3", ["1.2.0", "2.3.9"], ["1.1.9", "2.4.0"]),
        ("1.2.3 - 2.3.4", ["1.2.3", "2.3.4"], ["2.3.5"]),
        (">1.2", ["1.3.0"], ["1.2.9"]),
        ("<=1.2", ["1.2.9"], ["1.3.0"]),
        ("<1.2", ["1.1.9"], ["1.2.0", "1.2.0-rc.1"]),
        ("*", ["0.0.0", "9.9.9"], ["1.0.0-rc.1"]),
        ("", ["1.0.0"], []),
        (">=1.0.0-rc.1", ["1.0.0-rc.2", "1.0.0", "2.0.0"], ["1.0.0-beta", "2.0.0-rc.1"]),
        ("> 1.0.0 < 2.0.0", ["1.5.0"], ["1.0.0", "2.0.0"]),
    ],
)
def test_ranges_hold_what_npm_says(limits, inside, outside):
    wanted = Range(limits)
    assert [text for text in inside if Version(text) not in wanted] == []
    assert [text for text in outside if Version(text) in wanted] == []


@pytest.mark.parametrize("text", ["latest", "git+https://x", ">=", "1.2.3.4", "x.2", "1 ! 2", "a" * 300, "npm:x@1"])
def test_what_is_no_range_is_refused(text):
    with pytest.raises(NotSemver):
        Range(text)


def test_a_rule_holds_prereleases_as_well():
    assert Range("<2").holds(Version("1.9.0-rc.1"))
    assert Range("1.x").holds(Version("1.0.0-alpha"))
    assert not Range("<2").holds(Version("2.0.0-rc.1"))


def test_the_highest_version_of_a_range_is_found():
    versions = [Version(text) for text in ("1.0.0", "1.4.0", "2.0.0", "1.5.0-rc.1")]
    assert Range("^1").highest(versions) == Version("1.4.0")
    assert Range("^3").highest(versions) is None


numbers = st.integers(0, 30)
versions = st.builds(lambda a, b, c: f"{a}.{b}.{c}", numbers, numbers, numbers)


@given(versions)
def test_a_caret_and_a_tilde_hold_their_own_version(text):
    assert Version(text) in Range(f"^{text}")
    assert Version(text) in Range(f"~{text}")
    assert Version(text) in Range(text)


@given(versions, versions)
def test_comparators_agree_with_the_order(one, other):
    assert (Version(one) in Range(f"<{other}")) == (Version(one) < Version(other))
    assert (Version(one) in Range(f">={other}")) == (Version(one) >= Version(other))


@given(st.text(max_size=40))
def test_any_text_is_a_range_or_refused_cleanly(text):
    try:
        limits = Range(text)
    except NotSemver:
        return
    assert limits.holds(Version("1.0.0")) in (True, False)


def test_it_agrees_with_the_code_that_npm_itself_uses():
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not installed: install it (Debian: apt-get install npm)")
    semver = Path(npm).resolve().parents[1] / "node_modules" / "semver"
    if not semver.is_dir():
        pytest.skip(f"this npm has no semver of its own at {semver}: install npm as nodejs.org packs it")
    rng = random.Random(7)
    cases = [case for case in (_case(rng) for _ in range(4000)) if not re.search(r"x\.\d", case[0])]
    script = (
        f"const s=require({json.dumps(str(semver))});const d=JSON.parse(require('fs').readFileSync(0));"
        "console.log(JSON.stringify(d.map(([r,v])=>{try{new s.Range(r)}catch{return null}return s.satisfies(v,r)})))"
    )
    done = subprocess.run(
        ["node", "-e", script], input=json.dumps(cases), capture_output=True, text=True, check=True, timeout=60
    )
    differing = [
        (limits, version, theirs)
        for (limits, version), theirs in zip(cases, json.loads(done.stdout), strict=True)
        if theirs is not None and theirs != (Version(version) in Range(limits))
    ]
    assert differing == []


def _case(rng: random.Random) -> tuple[str, str]:
    def number() -> str:
        return str(rng.choice([0, 0, 1, 1, 2, 3, 10]))

    def part() -> str:
        count = rng.choice([1, 2, 3, 3])
        text = ".".join(rng.choice([number(), number(), "x"]) for _ in range(count))
        return text + (f"-{rng.choice(['0', 'alpha.1', 'rc.2'])}" if count == 3 and "x" not in text else "")

    operators = ["", "", "^", "~", ">", ">=", "<", "<=", "="]
    sets = [
        " ".join(rng.choice(operators) + part() for _ in range(rng.choice([1, 2]))) for _ in range(rng.choice([1, 2]))
    ]
    version = ".".join(number() for _ in range(3)) + rng.choice(["", "", "-0", "-alpha.1", "-rc.10"])
    return " || ".join(sets), version
