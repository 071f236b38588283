"""Stack files as the tests of the configuration read them."""

import pytest
import yaml

from infra.config import ConfigError, StackConfig

PREFIX = "slipway:"


def values_of(text):
    """The platform's keys of a stack file, without their prefix."""
    entries = yaml.safe_load(text)["config"].items()
    return {key.removeprefix(PREFIX): value for key, value in entries if key.startswith(PREFIX)}


@pytest.fixture(scope="session")
def read_file():
    """`read_file(path)` → the platform's keys of a stack file."""
    return lambda path: values_of(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def parse():
    """`parse(yaml_text)`: a configuration from the keys of a stack, as YAML."""
    return lambda text: StackConfig.parse(yaml.safe_load(text))


@pytest.fixture(scope="session")
def problems(parse):
    """`problems(yaml_text)`: what is wrong, as `{path: message}`; empty when nothing is."""

    def find(text):
        try:
            parse(text)
        except ConfigError as error:
            return {problem.path: problem.message for problem in error.problems}
        return {}

    return find


@pytest.fixture(scope="session")
def shipped(repository_root):
    """The seven stack files of the repository, by their path in it."""
    files = [*repository_root.glob("Pulumi.*.yaml"), *repository_root.glob("examples/*.yaml")]
    return {str(file.relative_to(repository_root)): file for file in sorted(files)}


@pytest.fixture(scope="session")
def repository_root(request):
    return request.config.rootpath
