"""What the views have in common."""

from __future__ import annotations

from typing import Any

from flask import Response, jsonify, request
from flask_appbuilder import BaseView

from cwl_ui_plugin import addresses, resources
from cwl_ui_plugin.auth.bridge import current_user


class CwlView(BaseView):
    """A view below /cwl. FAB looks for templates beside its own modules, so the folder is absolute."""

    route_base = addresses.PAGES
    template_folder = resources.folder("templates")
    # Each view checks through ``auth.permissions``; FAB's own permissions for views are not asked for.
    base_permissions: list[str] = []

    def page(self, template: str, status: int = 200, **context: Any) -> tuple[str, int]:
        """Render one of our templates."""
        return self.render_template(f"cwl_ui_plugin/{template}", **context), status


def user_name() -> str:
    """Return the name of the user of this request."""
    return str(current_user().get_name())


def wants_json() -> bool:
    """Whether a script of ours is asking, not the browser by itself."""
    return request.headers.get("X-Requested-With") == "XMLHttpRequest"


def answer_json(data: Any, status: int = 200) -> Response:
    """Return a JSON answer."""
    response = jsonify(data)
    response.status_code = status
    return response
