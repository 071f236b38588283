"""Settings: every variable in one place, and errors that name the variable, its value and the remedy."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from app._settings_checks import SettingsError
from app.settings import Settings, known_variables

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for variable in known_variables():
        monkeypatch.delenv(variable, raising=False)
    return


def problem(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> str:
    """The one problem of an environment that has just this variable."""
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError) as caught:
        Settings.load()
    (only,) = caught.value.problems
    assert only.variable == variable
    return str(only)


def test_nothing_configured_means_stdio_on_embedded_stores() -> None:
    settings = Settings.load()
    assert (settings.transport, settings.host, settings.port, settings.workers) == ("stdio", "127.0.0.1", 8000, 1)
    assert settings.toolsets == ("platform",)
    assert settings.redis_address is None
    assert settings.bearer_tokens == ()


def test_an_override_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MCP_PORT", "9000")
    assert Settings.load(port="9001").port == 9001
    assert Settings.load(port=None).port == 9000


def test_an_empty_variable_is_as_if_it_were_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MCP_PORT", "")
    monkeypatch.setenv("REDIS_URL", "")
    assert Settings.load().port == 8000
    assert Settings.load().redis_address is None


def test_the_transport_is_read_whatever_its_case(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MCP_TRANSPORT", " WebSocket ")
    assert Settings.load().transport == "websocket"


@pytest.mark.parametrize(
    ("host", "address"), [("redis", "redis://redis:6379"), ("redis.data.svc:7000", "redis://redis.data.svc:7000")]
)
def test_a_redis_host_becomes_a_url(monkeypatch: pytest.MonkeyPatch, host: str, address: str) -> None:
    monkeypatch.setenv("REDIS_HOST", host)
    assert Settings.load().redis_address == address


def test_a_redis_url_says_more_than_a_redis_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_HOST", "one")
    monkeypatch.setenv("REDIS_URL", "rediss://two:6380/1")
    assert Settings.load().redis_address == "rediss://two:6380/1"


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("MCP_TRANSPORT", "carrier-pigeon", "one of stdio, http, sse, websocket"),
        ("MCP_PORT", "eight", "0 (any free port) to 65535"),
        ("MCP_PORT", "65536", "0 (any free port) to 65535"),
        ("MCP_WORKERS", "0", "1 to 64"),
        ("MCP_MAX_BODY_BYTES", "10", "1024 to 1073741824"),
        ("MCP_DRAIN_SECONDS", "-1", "0 to 3600"),
        ("MCP_LOG_LEVEL", "loud", "one of debug, info, warning, error"),
        ("MCP_LOG_FORMAT", "xml", "json or text"),
        ("MCP_ALLOW_NPX", "perhaps", "true or false"),
        ("MCP_SERVER_CPU_LIMIT", "lots", "a Kubernetes quantity such as 500m"),
        ("MCP_SERVER_MEMORY_LIMIT", "1 GB", "a Kubernetes quantity such as 512Mi"),
        ("MCP_MESH_REGISTRY_URL", "registry:8000", "like http://slipway-registry:8000"),
    ],
)
def test_a_wrong_value_is_told_with_the_variable_and_the_remedy(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, told: str
) -> None:
    text = problem(monkeypatch, variable, value)
    assert text.startswith(f"{variable}={value!r} is wrong: ")
    assert told in text


def test_all_problems_are_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MCP_PORT", "x")
    monkeypatch.setenv("MCP_WORKERS", "x")
    monkeypatch.setenv("MCP_TRANPORT", "http")
    with pytest.raises(SettingsError) as caught:
        Settings.load()
    assert {found.variable for found in caught.value.problems} == {"MCP_PORT", "MCP_WORKERS", "MCP_TRANPORT"}


@pytest.mark.parametrize(
    ("misspelt", "meant"),
    [("MCP_TRANPORT", "MCP_TRANSPORT"), ("MCP_WORKER", "MCP_WORKERS"), ("MCP_TOOLSET", "MCP_TOOLSETS")],
)
def test_a_misspelt_variable_is_told_with_the_one_that_was_meant(
    monkeypatch: pytest.MonkeyPatch, misspelt: str, meant: str
) -> None:
    assert problem(monkeypatch, misspelt, "3").endswith(f"Did you mean {meant}?")


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("MCP_TIMEOUT", "30000"),
        ("MCP_TOOL_TIMEOUT", "30000"),
        ("MCP_SERVER_SERVICE_HOST", "10.0.0.1"),
        ("MCP_SERVER_PORT", "tcp://10.0.0.1:8000"),
        ("MCP_SERVER_PORT_8000_TCP_ADDR", "10.0.0.1"),
        ("MCP_SOMETHING_OF_ANOTHER_PROGRAM", "1"),
        ("PATH_TO_NOWHERE", "1"),
    ],
)
def test_variables_of_other_programs_are_left_alone(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    monkeypatch.setenv(variable, value)
    Settings.load()


def test_a_kubernetes_service_link_is_recognised(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "enableServiceLinks: false" in problem(monkeypatch, "MCP_PORT", "tcp://10.0.0.1:8000")


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("REDIS_URL", "http://:hunter2hunter2@redis:6379"),
        ("MONGODB_URI", "postgres://user:hunter2hunter2@db/app"),
        ("MCP_AUTH_TOKENS", "hunter2"),
        ("MCP_REQUEST_STATE_KEYS", "hunter2hunter2"),
    ],
)
def test_a_wrong_secret_is_told_without_its_value(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    text = problem(monkeypatch, variable, value)
    assert text.startswith(f"{variable}=(hidden) is wrong: ")
    assert "hunter2" not in text


def test_secrets_do_not_show_in_a_repr(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://:hunter2hunter2@redis:6379")
    monkeypatch.setenv("MCP_AUTH_TOKENS", "hunter2hunter2-hunter2")
    monkeypatch.setenv("MCP_REQUEST_STATE_KEYS", "hunter2" * 6)
    settings = Settings.load()
    assert "hunter2" not in repr(settings)
    assert "hunter2" not in settings.model_dump_json()


def test_tokens_come_from_the_environment_and_from_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text("# comment\nfrom-the-file-0123456789:alice\n\n")
    monkeypatch.setenv("MCP_AUTH_TOKENS", "from-the-variable-0123")
    monkeypatch.setenv("MCP_AUTH_TOKENS_FILE", str(file))
    assert Settings.load().bearer_tokens == ("from-the-variable-0123", "from-the-file-0123456789:alice")


def test_a_file_that_cannot_be_read_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "cannot be read" in problem(monkeypatch, "MCP_AUTH_TOKENS_FILE", "/nowhere/tokens")


def test_settings_do_not_change_once_read() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings.load().port = 1  # type: ignore[misc]


def test_only_settings_reads_the_environment() -> None:
    readers = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "app").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv", "environb")
    }
    # The parent of worker processes sets one variable, which prometheus-client reads.
    assert readers <= {"app/settings.py", "app/_settings_checks.py", "app/cli/_start.py"}


def test_every_variable_is_documented() -> None:
    page = (ROOT / "docs" / "server.md").read_text("utf-8")
    assert [variable for variable in known_variables() if f"`{variable}`" not in page] == []


def test_importing_settings_imports_no_server() -> None:
    heavy = ("fastapi", "uvicorn", "rich", "typer", "redis")
    code = f"import app.settings, sys; print(*(m for m in {heavy} if m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
