"""Airflow's own routes that create runs, in an app of their own."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any


@cache
def _app() -> Any:
    """Make the app: once, since FastAPI takes a fifth of a second to look into the routes."""
    from airflow.api_fastapi.common.exceptions import ERROR_HANDLERS
    from airflow.api_fastapi.core_api.routes.public.assets import assets_router
    from airflow.api_fastapi.core_api.routes.public.backfills import backfills_router
    from airflow.api_fastapi.core_api.routes.public.dag_run import dag_run_router
    from fastapi import FastAPI

    app = FastAPI()
    for router in (dag_run_router, assets_router, backfills_router):
        app.include_router(router, prefix="/api/v2")
    for handler in ERROR_HANDLERS:
        app.add_exception_handler(handler.exception_cls, handler.exception_handler)
    return app


class Core:
    """Airflow's own routes that create runs; ``before`` and ``after`` are called around each call, in its thread."""

    def __init__(self) -> None:
        from airflow.api_fastapi.common.dagbag import create_dag_bag

        self.app = _app()
        self.app.state.dag_bag = create_dag_bag()  # which keeps the Dags that it has seen
        self.calls = 0
        self.before: Callable[[], None] = lambda: None
        self.after: Callable[[], None] = lambda: None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        from fastapi.concurrency import run_in_threadpool

        self.calls += 1
        await run_in_threadpool(self.before)
        await self.app(scope, receive, send)
        await run_in_threadpool(self.after)
