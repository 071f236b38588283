"""A gateway's REST API, as commands use it."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any, cast

import httpx
import msgspec

JsonObject = dict[str, Any]


class GatewayProblem(Exception):
    """The gateway refused, or was not reached (`status` 0); `lines` say what is wrong in detail, of which `fields`."""

    def __init__(
        self, message: str, *, status: int = 0, lines: tuple[str, ...] = (), fields: tuple[str, ...] = ()
    ) -> None:
        super().__init__(message)
        self.status = status
        self.lines = lines
        self.fields = fields


class GatewayClient:
    """Use as a context manager. Every method raises `GatewayProblem`."""

    def __init__(self, url: str, token: str | None) -> None:
        self.url = url.rstrip("/")
        headers = {"authorization": f"Bearer {token}"} if token else {}
        self._http = httpx.Client(base_url=self.url, headers=headers, timeout=30.0, trust_env=False)

    def __enter__(self) -> GatewayClient:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def start(self, wish: Mapping[str, Any]) -> tuple[JsonObject, bool]:
        """The server, and whether it is a new one."""
        answer = self._ask("POST", "/servers", json=wish)
        return answer.json(), answer.status_code == 201

    def list(self) -> list[JsonObject]:
        return self._ask("GET", "/servers").json()

    def get(self, server: str) -> JsonObject:
        return self._ask("GET", f"/servers/{server}").json()

    def changed(self, server: str, revision: int, seconds: float) -> JsonObject:
        """The server once it has another revision, or when the time is over."""
        query = {"after": revision, "wait": seconds}
        return self._ask("GET", f"/servers/{server}", params=query, timeout=seconds + 30).json()

    def health(self, server: str) -> JsonObject:
        return self._ask("GET", f"/servers/{server}/health", fine=(503,)).json()

    def stop(self, server: str) -> None:
        self._ask("DELETE", f"/servers/{server}", timeout=120)

    def logs(self, server: str, lines: int) -> list[str]:
        return self._ask("GET", f"/servers/{server}/logs", params={"lines": lines}).json()["lines"]

    def follow(self, server: str, lines: int) -> Generator[str]:
        """Lines as they are written, until the server goes."""
        query: dict[str, Any] = {"lines": lines, "follow": "true"}
        patience = httpx.Timeout(30.0, read=60.0)
        try:
            with self._http.stream("GET", f"/servers/{server}/logs", params=query, timeout=patience) as answer:
                if answer.status_code != 200:
                    answer.read()
                    raise _refused(answer)
                for text in answer.iter_lines():
                    if text.startswith("data: ") and "line" in (data := msgspec.json.decode(text[6:])):
                        yield data["line"]
        except httpx.HTTPError as error:
            raise self._away(error) from None

    def _ask(self, method: str, path: str, *, fine: tuple[int, ...] = (), **given: Any) -> httpx.Response:
        try:
            answer = self._http.request(method, path, **given)
        except httpx.HTTPError as error:
            raise self._away(error) from None
        if answer.is_error and answer.status_code not in fine:
            raise _refused(answer)
        if answer.content and "json" not in answer.headers.get("content-type", ""):
            raise GatewayProblem(f"what answers at {self.url} is no gateway: check --gateway")
        return answer

    def _away(self, error: httpx.HTTPError) -> GatewayProblem:
        reason = str(error) or type(error).__name__
        remedy = "start one with `slipway gateway`, or name another with --gateway or MCP_GATEWAY_URL"
        return GatewayProblem(f"no gateway answers at {self.url} ({reason}): {remedy}")


def _refused(answer: httpx.Response) -> GatewayProblem:
    """In the gateway's own words, as far as they are understood."""
    try:
        body: Any = answer.json()
    except ValueError:
        body = {}
    told: JsonObject = cast("JsonObject", body) if isinstance(body, dict) else {}
    error: Any = told.get("error") or ""
    inner: object = cast("JsonObject", error).get("message") if isinstance(error, dict) else error
    message = told.get("detail") or inner
    if answer.status_code == 401:
        message = f"{message or 'a token is needed'}: give --token or MCP_GATEWAY_TOKEN"
    problems: list[JsonObject] = told.get("problems") or []
    lines = tuple(
        " ".join(part for part in (f"{found['field']}:", found["value"], found["remedy"]) if part) for found in problems
    )
    fields = tuple(str(found["field"]) for found in problems)
    told_of = str(message or f"status {answer.status_code}")
    return GatewayProblem(told_of, status=answer.status_code, lines=lines, fields=fields)
