"""How the plugin does: its health, the page for Prometheus, the schemas of its OpenLineage facets."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.core_api.security import bearer_scheme
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse, JSONResponse, Response

from cwl_ui_plugin.addresses import LINEAGE_SCHEMAS, METRICS_BELOW, PLUGIN, REST_BELOW, SERVICE_BELOW
from cwl_ui_plugin.api import schemas
from cwl_ui_plugin.api.security import known, logged_in, optional_user, require
from cwl_ui_plugin.auth import permissions
from cwl_ui_plugin.observing.lineage.schema_files import schema_file
from cwl_ui_plugin.servers import recent_restarts, server_id
from cwl_ui_plugin.services import health
from cwl_ui_plugin.services.answers import as_json
from cwl_ui_plugin.services.discovery import Service, service
from cwl_ui_plugin.services.observing import checks, metrics
from cwl_ui_plugin.version import __version__

_BEARER = "bearer "


def install(app: FastAPI) -> None:
    """Add the routes to the plugin's app."""
    failing = {503: {"model": schemas.Health, "description": "A check fails"}}
    answers = schemas.answers(schemas.Health, 400, 500) | failing
    app.get(f"{REST_BELOW}/health", tags=["health"], responses=answers)(get_health)
    app.get(f"{LINEAGE_SCHEMAS.removeprefix(PLUGIN)}/{{name}}", include_in_schema=False)(get_lineage_schema)
    app.get(f"{REST_BELOW}{SERVICE_BELOW}", tags=["health"], responses=schemas.answers(Service, 400, 500))(get_service)
    app.get(METRICS_BELOW, include_in_schema=False, dependencies=[Depends(check_scraper)])(get_metrics)


async def asking(request: Request) -> BaseUser | HTTPException:
    """Return who is asking where nobody need be; the OpenAPI document then asks for no login, either."""
    return await optional_user(request, await bearer_scheme(request))


Asking = Annotated[BaseUser | HTTPException, Depends(asking)]


def get_service() -> object:
    """Tell what this server speaks, without a login: versions, APIs, algorithms, fingerprints of public keys."""
    return asdict(service())


def get_health(user: Asking) -> object:
    """Tell whether workflows can be uploaded and run; needs no login, but for `checks`: who may see reports sees these.

    `status` is the worst of the checks: `ok`, `warn` or `fail`, and with `fail` the answer's status is 503; `problems`
    are settings that are needed and missing; `restarts` what died of a standalone server in the last hour; `server`
    tells a standalone server from others.
    """
    found, is_ready = checks.checks(), health.is_ready()
    viewer = known(user)
    status = checks.worst(found) if is_ready else checks.FAIL
    told = schemas.Health(
        status=status,
        checks=list(map(_told, found)) if viewer and permissions.may_monitor(viewer) else None,
        version=__version__,
        ready=is_ready,
        problems=health.problems(),
        restarts=list(recent_restarts()),
        server=server_id(),
    )
    return JSONResponse(as_json(told), status_code=503 if status == checks.FAIL else 200)


def _told(check: checks.Check) -> schemas.HealthCheck:
    return schemas.HealthCheck(check.name, check.status, check.message, check.details)


async def check_scraper(request: Request) -> None:
    """Let in who sends the secret of `[cwl] metrics_token`, and users who may see how the plugin does."""
    given = request.headers.get("authorization", "")
    if given.lower().startswith(_BEARER) and metrics.is_token(given[len(_BEARER) :].strip()):
        return
    user = logged_in(await asking(request))
    require(await run_in_threadpool(permissions.may_monitor, user))


def get_metrics() -> Response:
    """Tell Prometheus how the plugin does, in its text format."""
    return Response(metrics.page(), media_type=metrics.CONTENT_TYPE)


def get_lineage_schema(name: str) -> FileResponse:
    """Return the JSON schema of a facet; its address stands in the events."""
    found = schema_file(name)
    if found is None:
        raise HTTPException(404, "There is no such schema.")
    return FileResponse(found, media_type="application/schema+json")
