"""What docs/operator.md shows is taken by the API server, and becomes agents."""

from pathlib import Path

import pytest
import yaml

from .conftest import REPOSITORY, Operators, eventually, owned

PAGE = (REPOSITORY / "docs/operator.md").read_text(encoding="utf-8")
SHOWN = [yaml.safe_load(part.split("```")[0]) for part in PAGE.split("```yaml\n")[1:]]


@pytest.fixture(scope="module")
def leader(account: Path, tmp_path_factory: pytest.TempPathFactory):
    made = Operators(account, tmp_path_factory.mktemp("leader"))
    try:
        yield made.lead()
    finally:
        made.end()


def test_the_page_shows_agents():
    assert [each["kind"] for each in SHOWN] == ["MCPAgent", "MCPAgent"]


@pytest.mark.parametrize("shown", SHOWN, ids=[each["metadata"]["name"] for each in SHOWN])
@pytest.mark.usefixtures("leader")
def test_an_agent_that_the_page_shows_is_made(space, shown):
    space.agent(shown["metadata"]["name"], **shown["spec"])
    eventually(lambda: space.made(shown["metadata"]["name"]), "the agent is made")
    assert len(owned(space, "deployments", "apps/v1")) == 1
