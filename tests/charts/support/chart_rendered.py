"""What helm makes of the cases, kept as files: tests need no helm, and know when they are of another chart."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import yaml
from chart_cases import CASES

REPOSITORY = Path(__file__).parents[3]
CHARTS = REPOSITORY / "charts"
FOLDER = Path(__file__).parents[1] / "rendered"
_DIGEST = "# Made by `make golden` from what has the digest "


def digest(case: str) -> str:
    """Of the chart's files that are rendered, and of the values given."""
    given = CASES[case]
    chart = CHARTS / given.chart
    found = sha256(json.dumps(given.values, sort_keys=True).encode())
    files = [
        chart / "Chart.yaml",
        chart / "values.yaml",
        *sorted(chart.glob("templates/**/*")),
        *sorted(chart.glob("files/*")),
    ]
    for file in files:
        if file.is_file() and file.name != "NOTES.txt":
            found.update(file.relative_to(chart).as_posix().encode() + file.read_bytes())
    return found.hexdigest()[:16]


def path_of(case: str) -> Path:
    return FOLDER / f"{case}.yaml"


def text_of(case: str, rendered: str) -> str:
    """The file of a case; its comments are the chart's, and stay there."""
    return f"{_DIGEST}{digest(case)}.\n{yaml.safe_dump_all(_documents(rendered), sort_keys=True, width=120)}"


def is_current(case: str) -> bool:
    """Whether the file was made from the chart and the values as they are now."""
    return path_of(case).read_text(encoding="utf-8").startswith(f"{_DIGEST}{digest(case)}.\n")


def rendered(case: str) -> list[dict[str, Any]]:
    return _documents(path_of(case).read_text(encoding="utf-8"))


def _documents(text: str) -> list[dict[str, Any]]:
    """Every object, in an order that no version of helm decides."""
    found = [document for document in yaml.safe_load_all(text) if document]
    return sorted(found, key=lambda each: (each["kind"], each["metadata"]["name"]))
