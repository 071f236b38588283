"""What the README shows of a wrong stack file is what Pulumi would say."""

import re

import pytest

from infra.config import ConfigError, StackConfig


def test_the_readme_shows_the_real_message_for_a_misspelt_key(repository):
    readme = (repository / "README.md").read_text(encoding="utf-8")
    [shown] = re.findall(r"^error: (\d problems.*?)^```", readme, re.MULTILINE | re.DOTALL)
    with pytest.raises(ConfigError) as wrong:
        StackConfig.parse({"environment": "dev", "serverz": {"web": {}}})
    assert str(wrong.value) == shown.rstrip()
