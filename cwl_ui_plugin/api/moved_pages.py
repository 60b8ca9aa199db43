"""Leads from where Airflow served the pages to where the plugin serves them itself, so that old links are good."""

from __future__ import annotations

from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from cwl_ui_plugin import addresses
from cwl_ui_plugin.api.paths import path_of

OLD = addresses.AIRFLOW_MOUNT + addresses.PAGES


class MovedPages:
    """Redirects calls of the pages' former addresses; for an Airflow that does not serve them."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        app = self.app
        if scope["type"] == "http" and addresses.is_below(path_of(scope), OLD):
            app = RedirectResponse(_new_address(scope), status_code=308)
        await app(scope, receive, send)


def _new_address(scope: Scope) -> str:
    below = path_of(scope).removeprefix(addresses.AIRFLOW_MOUNT)
    query = scope["query_string"].decode("latin-1")
    return f"{scope.get('root_path', '')}{addresses.OWN_MOUNT}{below}" + (f"?{query}" if query else "")
