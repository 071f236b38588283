"""Whatever a stack file holds, it is read or refused with problems: nothing else."""

import contextlib
import copy

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infra.config import ConfigError, StackConfig
from infra.config.quantities import amount
from infra.config.secrets import FIXED_SECRETS

KEYS = sorted({field.alias for field in StackConfig.model_fields.values()} | {*FIXED_SECRETS, "secrets"})
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary(), st.dates(), st.datetimes()
)
NAMES = st.one_of(
    st.text(max_size=20),
    st.integers(),
    st.none(),
    st.sampled_from(["secure", "enabled", "mode", "web", "servers", "agents", "resources", "replicas", "host"]),
)
ANYTHING = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4), max_leaves=12
)
RUNS = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@RUNS
@given(st.dictionaries(st.sampled_from(KEYS) | NAMES, ANYTHING, max_size=6))
def test_any_mapping_is_read_or_refused(values):
    with contextlib.suppress(ConfigError):
        StackConfig.parse(values)


def every_path(value, path=()):
    yield path
    below = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in below:
        yield from every_path(child, (*path, key))


@pytest.fixture(scope="module")
def examples(shipped, read_file):
    return [read_file(file) for file in shipped.values()]


@RUNS
@given(data=st.data())
def test_a_shipped_file_with_one_value_replaced_is_read_or_refused(examples, data):
    values = copy.deepcopy(data.draw(st.sampled_from(examples)))
    *parents, last = data.draw(st.sampled_from(sorted((path for path in every_path(values) if path), key=str)))
    owner = values
    for key in parents:
        owner = owner[key]
    owner[last] = data.draw(ANYTHING)
    with contextlib.suppress(ConfigError):
        StackConfig.parse(values)


@RUNS
@given(st.dictionaries(st.sampled_from(KEYS), ANYTHING, min_size=1, max_size=4))
def test_reading_leaves_the_values_as_they_were(values):
    before = repr(values)
    with contextlib.suppress(ConfigError):
        StackConfig.parse(values)
    assert repr(values) == before


@RUNS
@given(secret=st.text(alphabet="QXZ", min_size=12, max_size=20), key=st.sampled_from(sorted(FIXED_SECRETS)))
def test_no_fixed_secret_in_plain_text_is_ever_repeated(secret, key):
    with pytest.raises(ConfigError) as refused:
        StackConfig.parse({"environment": "dev", "servers": {"web": {}}, key: secret, "secrets": {"mine": secret}})
    assert secret not in str(refused.value)


def test_a_number_as_a_key_is_answered_like_a_wrong_name(problems):
    found = problems("{environment: dev, servers: {8080: {}}, 8081: {}}")
    assert found["8081"].startswith("unknown key")
    assert "servers.8080" not in found


def test_yaml_that_says_one_thing_twice_keeps_the_last():
    values = yaml.safe_load("{environment: dev, servers: {web: {replicas: 1, replicas: 2}}}")
    assert StackConfig.parse(values).servers["web"].replicas == 2


@pytest.mark.parametrize(
    ("smaller", "larger"),
    [("499m", "0.5"), ("1", "1.001"), ("512Mi", "1Gi"), ("1G", "1Gi"), ("999k", "1M"), ("1Ti", "1Pi")],
)
def test_quantities_are_compared_by_what_they_mean(smaller, larger):
    assert amount(smaller) < amount(larger)


@pytest.mark.parametrize("text", ["", "Mi", "1 Gi", "1gi", "-1", "1e3"])
def test_text_that_is_no_quantity_has_no_amount(text):
    with pytest.raises(ValueError, match="not a Kubernetes quantity"):
        amount(text)
