import json
import subprocess
from datetime import UTC, datetime, timedelta, timezone

import pytest

from infra.build_id import build_id
from infra.commands import SERVE
from infra.image import AppImage, AppImageArgs, registry_of, repository_of

DIGEST = "sha256:" + "cd" * 32
GET_REGISTRY_IMAGE = "docker:index/getRegistryImage:getRegistryImage"
NOW = datetime(2026, 11, 21, 13, 5, 9, tzinfo=UTC)


@pytest.fixture
def image(run):
    def image(strategy, *, published=None, local=None, **extra):
        args = AppImageArgs(**{"strategy": strategy, "repository": "registry.acme.io/acme/slipway", **extra})
        outputs = {GET_REGISTRY_IMAGE: {"sha256Digest": published}} if published else {}
        return run(lambda: AppImage("app", args, find_local=lambda ref: local), outputs=outputs)

    return image


def outputs_of(stack):
    return stack.outputs(stack.one("AppImage"))


@pytest.fixture
def git(tmp_path):
    """A repository with one commit, and a way to run git in it."""

    def git(*arguments):
        identity = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
        answer = subprocess.run(
            ["git", *identity, "-C", str(tmp_path), *arguments], check=True, capture_output=True, text=True
        )
        return answer.stdout.strip()

    git("init", "-q")
    (tmp_path / "server.py").write_text("print('one')\n")
    (tmp_path / ".gitignore").write_text("*.log\n")
    git("add", ".")
    git("commit", "-q", "-m", "Begin")
    return git


def test_a_published_image_with_a_digest_is_taken_as_it_is(image):
    stack = image("published", ref=f"registry.acme.io/acme/slipway@{DIGEST}")
    assert [resource.kind for resource in stack.registered] == ["AppImage"]
    assert outputs_of(stack) == {"ref": f"registry.acme.io/acme/slipway@{DIGEST}", "digest": DIGEST}


def test_a_tag_is_resolved_to_its_digest_in_dev(image):
    stack = image("published", ref="registry.acme.io:443/acme/slipway:1.2", resolve_tags=True, published=DIGEST)
    assert outputs_of(stack)["ref"] == f"registry.acme.io:443/acme/slipway@{DIGEST}"


def test_a_tag_is_refused_outside_dev_with_the_remedy(image):
    with pytest.raises(
        ValueError, match=r"image\.ref: registry\.acme\.io/acme/slipway:1\.2 can change under its tag; name it by"
    ):
        image("published", ref="registry.acme.io/acme/slipway:1.2")


def test_a_published_image_must_be_named(image):
    with pytest.raises(ValueError, match=r"image\.ref: nothing is set"):
        image("published")


def test_a_build_pushes_the_build_id_and_latest_and_deploys_by_digest(image):
    stack = image("build", base_image="python:3.12-slim", platform="linux/arm64")
    built = stack.one("Image")
    tag = stack.one("Tag").at("targetImage")
    name = built.at("imageName")
    assert name.startswith("registry.acme.io/acme/slipway:")
    assert outputs_of(stack)["build_id"] == name.rpartition(":")[2]
    assert tag == stack.one("RegistryImage").at("name") == "registry.acme.io/acme/slipway:latest"
    assert stack.one("RegistryImage").at("keepRemotely") is True
    assert outputs_of(stack)["ref"].startswith("registry.acme.io/acme/slipway@sha256:")
    assert outputs_of(stack)["digest"].startswith("sha256:")


def test_a_build_takes_the_dockerfile_the_base_and_the_platform(image):
    build = image("build", base_image="python:3.12-slim", platform="linux/arm64").one("Image").at("build")
    assert build["dockerfile"].endswith("app/Dockerfile")
    assert build["args"] == {"BASE_IMAGE": "python:3.12-slim"}
    assert build["platform"] == "linux/arm64"


def test_a_preview_builds_and_pushes_nothing(image):
    assert image("build").one("Image").at("buildOnPreview") is False


def test_without_a_push_the_cluster_finds_the_image_by_its_build_id(image):
    stack = image("build", push=False)
    assert stack.one("Image").at("skipPush") is True
    assert not stack.all("RegistryImage")
    assert outputs_of(stack)["ref"] == stack.one("Image").at("imageName")


def test_the_password_of_the_registry_stays_a_secret(run):
    import pulumi

    def program():
        args = AppImageArgs(
            strategy="build",
            repository="registry.acme.io/acme/slipway",
            username="robot",
            password=pulumi.Output.secret("hunter2"),
        )
        return AppImage("app", args)

    stack = run(program)
    password = stack.one("Image").at("registry.password")
    assert password == "hunter2"
    assert type(password).__name__ == "Secret"
    assert type(stack.one("RegistryImage").at("authConfig.password")).__name__ == "Secret"
    assert stack.one("Image").at("registry.server") == "registry.acme.io"


def test_auto_takes_the_published_image_first(image):
    stack = image("auto", published=DIGEST, local="sha256:local")
    assert outputs_of(stack)["ref"] == f"registry.acme.io/acme/slipway@{DIGEST}"
    assert not stack.all("Image")


def test_auto_takes_the_local_image_when_nothing_is_published(image):
    stack = image("auto", local="sha256:local")
    assert outputs_of(stack) == {"ref": "registry.acme.io/acme/slipway:latest", "digest": "sha256:local"}


def test_auto_builds_when_nothing_is_there(image):
    assert image("auto").one("Image").at("imageName").startswith("registry.acme.io/acme/slipway:")


def test_auto_asks_nobody_about_a_digest(image):
    stack = image("auto", ref=f"registry.acme.io/acme/slipway@{DIGEST}")
    assert outputs_of(stack)["digest"] == DIGEST


@pytest.mark.parametrize(
    ("ref", "repository"),
    [
        ("slipway", "slipway"),
        ("slipway:1.0", "slipway"),
        ("localhost:5000/slipway", "localhost:5000/slipway"),
        ("localhost:5000/slipway:1.0", "localhost:5000/slipway"),
        (f"registry.acme.io/acme/slipway:1.0@{DIGEST}", "registry.acme.io/acme/slipway"),
    ],
)
def test_the_repository_of_a_reference_has_no_tag_and_no_digest(ref, repository):
    assert repository_of(ref) == repository


@pytest.mark.parametrize(
    ("repository", "registry"),
    [
        ("slipway", "docker.io"),
        ("acme/slipway", "docker.io"),
        ("registry.acme.io/acme/slipway", "registry.acme.io"),
        ("localhost:5000/slipway", "localhost:5000"),
    ],
)
def test_the_registry_is_the_first_part_that_looks_like_a_host(repository, registry):
    assert registry_of(repository) == registry


def test_the_build_id_is_the_short_hash_of_the_commit(git, tmp_path):
    assert build_id(tmp_path, NOW) == git("rev-parse", "--short", "HEAD")


def test_the_build_id_is_a_utc_timestamp_outside_git(tmp_path):
    assert build_id(tmp_path, NOW) == "20261121130509"
    assert build_id(tmp_path, NOW.astimezone(timezone(timedelta(hours=2)))) == "20261121130509"


def test_the_build_id_is_a_timestamp_before_the_first_commit(tmp_path):
    subprocess.run(["git", "-C", str(tmp_path), "init", "-q"], check=True)
    assert build_id(tmp_path, NOW) == "20261121130509"


def test_a_changed_tree_is_marked_and_told_apart_by_its_changes(git, tmp_path):
    commit = git("rev-parse", "--short", "HEAD")
    (tmp_path / "server.py").write_text("print('two')\n")
    two = build_id(tmp_path, NOW)
    assert two.startswith(f"{commit}-dirty-")
    assert build_id(tmp_path, NOW) == two
    (tmp_path / "server.py").write_text("print('three')\n")
    assert build_id(tmp_path, NOW) != two


def test_a_new_file_is_a_change_and_an_ignored_one_is_not(git, tmp_path):
    (tmp_path / "run.log").write_text("noise")
    assert "dirty" not in build_id(tmp_path, NOW)
    (tmp_path / "new.py").write_text("x = 1\n")
    first = build_id(tmp_path, NOW)
    assert "dirty" in first
    (tmp_path / "new.py").write_text("x = 2\n")
    assert build_id(tmp_path, NOW) != first


def test_a_build_id_is_a_valid_tag(git, tmp_path):
    (tmp_path / "new.py").write_text("x = 1\n")
    assert all(character.isalnum() or character in "-._" for character in build_id(tmp_path, NOW))


def test_auto_goes_on_when_the_registry_cannot_be_read(image, monkeypatch):
    def refuse(**arguments):
        raise ConnectionError("connection refused")

    monkeypatch.setattr("pulumi_docker.get_registry_image", refuse)
    assert outputs_of(image("auto", local="sha256:local"))["digest"] == "sha256:local"


@pytest.fixture
def dockerfile(repository):
    return [line for line in (repository / "app/Dockerfile").read_text().splitlines() if line.strip()]


def stage(dockerfile, begin):
    """The lines of one stage, without its first."""
    lines = dockerfile[dockerfile.index(begin) + 1 :]
    ends = [at for at, line in enumerate(lines) if line.startswith("FROM")]
    return lines[: ends[0]] if ends else lines


def test_the_dockerfile_builds_in_stages_on_any_base(dockerfile):
    stages = [line for line in dockerfile if line.startswith("FROM")]
    assert stages == [
        "FROM ${BASE_IMAGE} AS build",
        "FROM ${NODE_IMAGE} AS node",
        "FROM ${BASE_IMAGE} AS app",
        "FROM app AS bridge",
        "FROM app",
    ]
    for argument in ("BASE_IMAGE", "NODE_IMAGE"):
        assert any(line.startswith(f"ARG {argument}=") for line in dockerfile)
    assert not any(line.startswith("# syntax=") for line in dockerfile)


def test_the_image_runs_as_an_ordinary_user_and_serves_by_default(dockerfile):
    app = stage(dockerfile, "FROM ${BASE_IMAGE} AS app")
    assert "USER 1000:1000" in app
    assert app[-1] == f"CMD {json.dumps(list(SERVE))}"
    assert not any(line.startswith("COPY") and "--from=build" not in line for line in app)


def test_without_a_target_the_image_is_the_plain_one(dockerfile):
    assert dockerfile[-1] == "FROM app"


def test_the_image_for_packages_runs_as_an_ordinary_user_too(dockerfile):
    users = [line for line in stage(dockerfile, "FROM app AS bridge") if line.startswith("USER")]
    assert users[-1] == "USER 1000:1000"


def test_the_build_sees_nothing_but_what_it_copies(dockerfile, repository):
    ignore = (repository / ".dockerignore").read_text().splitlines()
    assert "*" in ignore
    seen = {line[1:] for line in ignore if line.startswith("!")}
    copied = {
        part for line in dockerfile if line.startswith("COPY") and "--from" not in line for part in line.split()[1:-1]
    }
    assert seen == copied
