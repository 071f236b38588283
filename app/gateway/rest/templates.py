"""`/templates`: known servers, and what has to be given to each."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Path, Query

from app.gateway.rest.access import Reader
from app.gateway.rest.models import TemplateSummary
from app.gateway.rest.problems import RestError, documented
from app.gateway.templates import Template, Templates, UnknownTemplate


def templates_router(templates: Templates) -> APIRouter:
    """The endpoints."""
    router = APIRouter(prefix="/templates", tags=["templates"])

    @router.get("", summary="All templates, or those in which every word occurs", responses=documented(401, 403, 422))
    async def every(
        _caller: Reader, search: Annotated[str, Query(max_length=200, examples=["file"])] = ""
    ) -> list[TemplateSummary]:
        return [_summary(found) for found in (templates.search(search) if search else templates.all())]

    @router.get("/{name}", summary="One template, whole", responses=documented(401, 403, 404, 422))
    async def one(
        name: Annotated[str, Path(max_length=100, examples=["filesystem"])], _caller: Reader
    ) -> dict[str, Any]:
        try:
            return msgspec.to_builtins(templates.get(name))
        except UnknownTemplate as error:
            raise RestError(404, str(error)) from None

    return router


def _summary(template: Template) -> TemplateSummary:
    required = [setting.name for setting in template.settings if setting.required]
    if template.paths is not None and template.paths.required:
        required.append("allowedPaths")
    return TemplateSummary(
        name=template.name,
        title=template.title,
        description=template.description,
        type=template.type,
        package=template.package,
        categories=list(template.categories),
        required=required,
        deprecated=template.deprecated is not None,
    )
