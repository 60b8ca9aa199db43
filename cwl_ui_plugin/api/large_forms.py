"""Forms whose fields may be long: a table that is pasted is a field, and the server takes 1 MiB of each by itself."""

from __future__ import annotations

from collections.abc import Callable, Coroutine

from fastapi import Request, Response, params
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from cwl_ui_plugin.plain_words import bytes_text
from cwl_ui_plugin.services.batches.sheets import MAX_BYTES
from cwl_ui_plugin.services.errors import TooLarge

_TOO_LONG = "maximum size"
"""In what is said of a field that is too long."""


class LargeFormRoute(APIRoute):
    """A route that reads a form, if it takes one, with fields as long as a sheet may be."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[object, object, Response]]:
        """Return what answers a request."""
        handler = super().get_route_handler()
        if not (self.body_field and isinstance(self.body_field.field_info, params.Form)):
            return handler

        async def with_form(request: Request) -> Response:
            try:
                form = await request.form(max_part_size=MAX_BYTES)  # which is kept, and given to who asks for it next
            except HTTPException as error:
                if _TOO_LONG in str(error.detail):
                    raise _too_large() from error
                raise
            # Earlier versions of Starlette, such as 0.45, bound the fields of multipart forms only.
            if any(isinstance(value, str) and len(value) > MAX_BYTES for _name, value in form.multi_items()):
                raise _too_large()
            return await handler(request)

        return with_form


def _too_large() -> TooLarge:
    return TooLarge(f"A field of a form may have {bytes_text(MAX_BYTES)}. Send a file.")
