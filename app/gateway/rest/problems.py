"""Errors as application/problem+json: what is wrong, where, and what would be right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from app.gateway.manager.model import Conflict, ManagerError, Problem, Refused, UnknownServer
from app.gateway.manager.store import StoreError
from app.gateway.rest.models import ProblemView

MEDIA_TYPE = "application/problem+json"
_HIDDEN_FIELDS = ("environment", "args", "url")


class RestError(Exception):
    """An error with its status."""

    def __init__(self, status: int, detail: str, problems: Sequence[Problem] = ()) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.problems = tuple(problems)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """These statuses for the documentation of an endpoint."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemView"}}}
    return {
        # A request without a token is refused before it gets here, in the protocol's form.
        status: {"description": HTTPStatus(status).phrase, **({} if status == 401 else {"content": content})}
        for status in statuses
    }


def problem(
    status: int, detail: str, problems: Sequence[Problem] = (), headers: Mapping[str, str] | None = None
) -> JSONResponse:
    body = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "problems": [{"field": found.field, "value": found.value, "remedy": found.remedy} for found in problems],
    }
    return JSONResponse(body, status, media_type=MEDIA_TYPE, headers=dict(headers or {}))


def tell_problems(site: FastAPI) -> None:
    """Have the errors of the manager, and requests that are no requests, answered this way."""

    @site.exception_handler(RestError)
    async def rest(_: Request, error: RestError) -> JSONResponse:
        return problem(error.status, error.detail, error.problems)

    @site.exception_handler(ManagerError)
    async def manager(_: Request, error: ManagerError) -> JSONResponse:
        if isinstance(error, UnknownServer):
            return problem(404, str(error))
        if isinstance(error, Conflict):
            return problem(409, error.message, error.differences)
        if isinstance(error, Refused):
            return problem(422, "this server cannot be started", error.problems)
        return problem(500, str(error))

    @site.exception_handler(StoreError)
    async def store(_: Request, error: StoreError) -> JSONResponse:
        return problem(503, str(error), headers={"retry-after": "2"})

    @site.exception_handler(RequestValidationError)
    async def request(_: Request, error: RequestValidationError) -> JSONResponse:
        return problem(422, "this request is not understood", [_problem(item) for item in error.errors()])

    @site.exception_handler(400)
    async def unreadable(_: Request, error: Exception) -> JSONResponse:
        return problem(400, f"the body cannot be read: {getattr(error, 'detail', error)}. Send JSON in UTF-8")

    document = site.openapi

    def with_problems() -> dict[str, Any]:
        schema = document()
        schemas = schema.setdefault("components", {}).setdefault("schemas", {})
        if "ProblemView" not in schemas:
            own = ProblemView.model_json_schema(ref_template="#/components/schemas/{model}")
            schemas.update(own.pop("$defs", {}))
            schemas["ProblemView"] = own
        return schema

    site.openapi = with_problems


def _problem(item: Mapping[str, Any]) -> Problem:
    where = [str(part) for part in item["loc"] if part != "body"]
    hidden = bool(where) and where[0] in _HIDDEN_FIELDS
    value = "(hidden)" if hidden or not where else repr(item.get("input"))[:120]
    message = str(item["msg"])
    remedy = f"is wrong: {message[:1].lower()}{message[1:]}"
    return Problem(field=".".join(where) or "body", value=value, remedy=remedy)
