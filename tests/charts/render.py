"""Rewrites what is made from the charts and for them: `python tests/charts/render.py`, or `make golden`.

The rendered cases need helm, on PATH or in the cache of the cluster tests.
"""

import importlib.util
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "support"), str(HERE.parents[1]), str(HERE.parent / "cluster")]

# ruff: noqa: E402
import chart_definition
from chart_cases import CASES, NAMESPACE
from chart_rendered import CHARTS, FOLDER, path_of, text_of
from harness.build import Tool


def main() -> int:
    for file, text in chart_definition.texts(_harness().run_program).items():
        file.parent.mkdir(exist_ok=True)
        file.write_text(text, encoding="utf-8")
    helm = shutil.which("helm") or (Tool("helm").binary("helm") if Tool("helm").built else None)
    if helm is None:
        sys.stderr.write("› charts not rendered: install helm 3.18, or run make test-cluster, which builds it\n")
        return 0
    FOLDER.mkdir(exist_ok=True)
    for stale in FOLDER.glob("*.yaml"):
        stale.unlink()
    for case in CASES:
        path_of(case).write_text(text_of(case, _render(str(helm), case)), encoding="utf-8")
    return 0


def _render(helm: str, case: str) -> str:
    given = CASES[case]
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as values:
        yaml.safe_dump(given.values, values)
        values.flush()
        command = [helm, "template", given.release, str(CHARTS / given.chart), "--namespace", NAMESPACE]
        command += ["--kube-version", "1.34", "--values", values.name]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


def _harness():
    spec = importlib.util.spec_from_file_location("platform_harness", HERE.parent / "infra/conftest.py")
    harness = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(harness)
    return harness


if __name__ == "__main__":
    sys.exit(main())
