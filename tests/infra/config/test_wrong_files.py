"""Every wrong stack file in `wrong/` is refused with exactly the message beside it."""

from pathlib import Path

import pytest

from infra.config import ConfigError, StackConfig

WRONG = Path(__file__).parent / "wrong"
FILES = sorted(WRONG.glob("*.yaml"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_wrong_stack_file_is_refused_with_its_exact_message(file, read_file):
    with pytest.raises(ConfigError) as refused:
        StackConfig.parse(read_file(file))
    assert f"{refused.value}\n" == file.with_suffix(".txt").read_text(encoding="utf-8")


def test_every_wrong_file_has_a_message_and_every_message_a_file():
    assert {file.stem for file in FILES} == {file.stem for file in WRONG.glob("*.txt")}
    assert len(FILES) >= 40


def test_no_message_repeats_a_secret():
    # The wrong files spell every secret like this.
    assert [file.name for file in WRONG.glob("*.txt") if "hunter2" in file.read_text(encoding="utf-8")] == []


def test_every_message_names_the_key_as_the_stack_file_spells_it():
    lines = [line for file in WRONG.glob("*.txt") for line in file.read_text(encoding="utf-8").splitlines()]
    assert all(
        line.startswith(("  - slipway:", "1 problem in ")) or "problems in the stack's" in line for line in lines
    )
