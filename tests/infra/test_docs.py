"""What the pages show of stack files, right and wrong, is what Pulumi would say."""

import re

import pytest
import yaml

from infra.config import ConfigError, StackConfig


def test_the_readme_shows_the_real_message_for_a_misspelt_key(repository):
    readme = (repository / "README.md").read_text(encoding="utf-8")
    [shown] = re.findall(r"^error: (\d problems.*?)^```", readme, re.MULTILINE | re.DOTALL)
    with pytest.raises(ConfigError) as wrong:
        StackConfig.parse({"environment": "dev", "serverz": {"web": {}}})
    assert str(wrong.value) == shown.rstrip()


def test_the_registries_that_the_page_on_packages_shows_are_accepted_with_their_tokens_alone(repository):
    page = (repository / "docs" / "packages.md").read_text(encoding="utf-8")
    [shown] = re.findall(r"^```yaml\n(slipway:gateway:.*?)^```", page, re.MULTILINE | re.DOTALL)
    values = {"environment": "dev", "gateway": yaml.safe_load(shown)["slipway:gateway"]}
    StackConfig.parse({**values, "secrets": {"npmToken": {"secure": "x"}, "pypiToken": {"secure": "x"}}})
    with pytest.raises(ConfigError) as wrong:
        StackConfig.parse(values)
    assert [problem.path for problem in wrong.value.problems] == [
        "gateway.registries.npm[0].tokenSecret",
        "gateway.registries.pypi[0].tokenSecret",
    ]
