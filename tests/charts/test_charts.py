"""The charts as files: their values, their schemas, their pages, and what they share."""

import json
import re
import tomllib

import chart_definition
import pytest
import yaml
from chart_cases import CASES
from chart_rendered import CHARTS, REPOSITORY
from jsonschema import Draft202012Validator

NAMES = sorted(path.name for path in CHARTS.iterdir() if (path / "Chart.yaml").exists())


def read(chart, file):
    return yaml.safe_load((CHARTS / chart / file).read_text(encoding="utf-8"))


def schema(chart):
    return json.loads((CHARTS / chart / "values.schema.json").read_text(encoding="utf-8"))


def keys(values, path=""):
    """Every key of the values, down to those that users fill themselves."""
    for key, value in values.items():
        yield f"{path}{key}"
        if isinstance(value, dict):
            yield from keys(value, f"{path}{key}.")


def objects(found):
    """Every part of a schema that describes an object with keys of its own."""
    if isinstance(found, dict):
        if "properties" in found and found.get("type") == "object":
            yield found
        for each in found.values():
            yield from objects(each)
    elif isinstance(found, list):
        for each in found:
            yield from objects(each)


@pytest.mark.parametrize("chart", NAMES)
def test_the_values_that_a_chart_ships_are_what_its_schema_allows(chart):
    Draft202012Validator.check_schema(schema(chart))
    problems = [error.message for error in Draft202012Validator(schema(chart)).iter_errors(read(chart, "values.yaml"))]
    assert problems == []


@pytest.mark.parametrize("chart", NAMES)
def test_no_object_of_a_schema_takes_unknown_keys(chart):
    assert [each["properties"].keys() for each in objects(schema(chart)) if each.get("additionalProperties")] == []
    assert all("additionalProperties" in each for each in objects(schema(chart)))


@pytest.mark.parametrize("chart", NAMES)
def test_the_schema_and_the_values_have_the_same_keys(chart):
    properties = {key for key in schema(chart)["properties"] if key != "global"}
    assert properties == set(read(chart, "values.yaml"))


@pytest.mark.parametrize("case", CASES)
def test_the_values_of_a_case_are_allowed(case):
    problems = Draft202012Validator(schema(CASES[case].chart)).iter_errors(CASES[case].values)
    assert [error.message for error in problems] == []


@pytest.mark.parametrize("chart", NAMES)
def test_the_page_of_a_chart_has_every_value(chart):
    page = (CHARTS / chart / "README.md").read_text(encoding="utf-8")
    shown = set(re.findall(r"`([A-Za-z][\w.]*)`", page))
    known = set(keys(read(chart, "values.yaml")))
    # A group is shown by what is in it.
    groups = {key for key in known if any(other.startswith(f"{key}.") for other in known)}
    assert known - groups - shown == set()


@pytest.mark.parametrize("chart", NAMES)
def test_a_chart_is_of_the_program_s_version(chart):
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert read(chart, "Chart.yaml")["name"] == chart
    assert read(chart, "Chart.yaml")["appVersion"] == project["version"]


@pytest.mark.parametrize("file", ["_pod.tpl", "_objects.tpl"])
def test_what_the_charts_share_is_the_same_in_each(file):
    texts = {(CHARTS / chart / "templates" / file).read_text(encoding="utf-8") for chart in NAMES}
    assert len(texts) == 1


def test_what_the_operator_s_chart_takes_from_the_platform_is_as_it_is_there(run):
    for file, text in chart_definition.texts(run).items():
        assert file.read_text(encoding="utf-8") == text, f"{file.name} is of another platform: run make golden"
