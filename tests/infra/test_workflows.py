import re

import pytest
import yaml

WORKFLOWS = ("ci.yml", "preview.yml")


@pytest.fixture(params=WORKFLOWS)
def text(request, repository):
    return (repository / ".github/workflows" / request.param).read_text()


@pytest.fixture
def workflow(text):
    # YAML 1.1 reads the key `on` as true.
    return {("on" if key is True else key): value for key, value in yaml.safe_load(text).items()}


def test_a_workflow_starts_with_no_right_to_write(workflow):
    assert workflow["permissions"] in ({}, {"contents": "read"})


def test_no_job_holds_secrets_and_the_right_to_write(workflow):
    for job in workflow["jobs"].values():
        writes = "write" in (job.get("permissions") or {}).values()
        assert not (writes and "secrets." in str(job))


def test_a_job_that_writes_runs_no_code_of_the_pull_request(workflow):
    for job in workflow["jobs"].values():
        if "write" in (job.get("permissions") or {}).values():
            assert not any("checkout" in step.get("uses", "") for step in job["steps"])


def test_no_workflow_runs_with_the_rights_of_the_base_on_code_of_a_fork(workflow):
    assert "pull_request_target" not in workflow["on"]


def test_no_expression_is_pasted_into_a_script(workflow):
    scripts = [step["run"] for job in workflow["jobs"].values() for step in job["steps"] if "run" in step]
    assert scripts
    assert not any("${{" in script for script in scripts)


def test_a_checkout_leaves_no_token_behind(workflow):
    for job in workflow["jobs"].values():
        for step in job["steps"]:
            if "checkout" in step.get("uses", ""):
                assert step["with"]["persist-credentials"] is False


def test_the_preview_itself_is_never_uploaded(text):
    for path in re.findall(r"^ +path: (.+)$", text, re.MULTILINE):
        assert path == "summary/summary.md"


def test_every_shipped_stack_is_previewed(repository):
    jobs = yaml.safe_load((repository / ".github/workflows/preview.yml").read_text())["jobs"]
    shipped = {path.name.split(".")[1] for path in repository.glob("Pulumi.*.yaml")}
    for job in jobs.values():
        assert set(job["strategy"]["matrix"]["stack"]) == shipped
