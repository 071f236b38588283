"""Processes that test on one cluster: what one of them has, another waits for; what all share ends with the last."""

import fcntl
from pathlib import Path

import pytest
from usage.turns import Turns


def free(folder: Path, name: str) -> bool:
    """Whether somebody else could have it now."""
    with (folder / f"{name}.turn").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def test_a_turn_is_ones_own_until_it_is_over(tmp_path):
    turns = Turns(tmp_path)
    with turns.taken("b", "a"):
        assert not free(tmp_path, "a")
        assert not free(tmp_path, "b")
        assert free(tmp_path, "c")
    assert free(tmp_path, "a")


def test_a_turn_is_over_also_after_a_failure(tmp_path):
    with pytest.raises(ZeroDivisionError), Turns(tmp_path).taken("a"):
        raise ZeroDivisionError
    assert free(tmp_path, "a")


def test_two_stacks_on_one_port_of_the_node_are_not_up_together(tmp_path):
    with Turns(tmp_path).of_stack("dev"):
        assert not free(tmp_path, "node-port-30800")
        assert free(tmp_path, "stack-mesh")


def test_what_is_shared_ends_with_the_last_who_used_it(tmp_path):
    ended: list[list[str]] = []
    first = Turns(tmp_path).shared("things", lambda: ["one", "two"], ended.append)
    second = Turns(tmp_path).shared("things", list, ended.append)
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert ended == []
    second.__exit__(None, None, None)
    assert ended == [["one", "two"]]
