"""What the views have in common."""

from __future__ import annotations

from typing import Any

from flask import Response, jsonify, request
from flask.typing import ResponseReturnValue
from flask_appbuilder import BaseView

from cwl_ui_plugin import addresses, resources
from cwl_ui_plugin.auth.bridge import current_user


class CwlView(BaseView):
    """A view below /cwl. FAB looks for templates beside its own modules, so the folder is absolute."""

    route_base = addresses.PAGES
    template_folder = resources.folder("templates")
    # Each view checks through ``auth.permissions``; FAB's own permissions for views are not asked for.
    base_permissions: list[str] = []

    def page(self, template: str, status: int = 200, **context: object) -> tuple[str, int]:
        """Render one of our templates."""
        return _sendable(self.render_template(f"cwl_ui_plugin/{template}", **context)), status

    def fragment(self, template: str, **context: Any) -> ResponseReturnValue:
        """Return a template by itself to a script that shows it in its page, and as a page to everybody else."""
        if wants_json():
            return _sendable(self.render_template(f"cwl_ui_plugin/{template}.html", **context))
        return self.page("run_fragment.html", fragment=f"cwl_ui_plugin/{template}.html", **context)


def _sendable(page: object) -> str:
    """Return a page without halves of surrogate pairs, which JSON and names in archives may have and no answer may."""
    return str(page).encode("utf-8", "replace").decode()


def run_arguments(*more: str) -> tuple[str, ...]:
    """Return the dag_id and the run_id that are asked for, and more of the query; what is not given is empty."""
    return tuple(request.args.get(name, "") for name in ("dag_id", "run_id", *more))


def page_offset() -> int:
    """Return from which item of a list on is asked for."""
    return max(0, request.args.get("offset", 0, type=int))


def user_name() -> str:
    """Return the name of the user of this request."""
    return str(current_user().get_name())


def wants_json() -> bool:
    """Whether a script of ours is asking, not the browser by itself."""
    return request.headers.get("X-Requested-With") == "XMLHttpRequest"


def answer_json(data: object, status: int = 200) -> Response:
    """Return a JSON answer."""
    response = jsonify(data)
    response.status_code = status
    return response
