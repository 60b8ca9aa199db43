"""Requests of WES as clients of others make them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

WES = "/ga4gh/wes/v1"
_NAMES = {"url": "workflow_url", "params": "workflow_params"}


@pytest.fixture
def post(client: Callable[..., Any]) -> Callable[..., Any]:
    """Post a run: ``post("op", {"say.cwl": text}, url="say.cwl", params={...})``; None leaves a field out."""

    def send(role: str | None, files: Mapping[str, str | bytes] | None = None, **fields: Any) -> Any:
        form = {"workflow_type": "CWL", "workflow_type_version": "v1.2"}
        form |= {_NAMES.get(name, name): value for name, value in fields.items()}
        texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in form.items()}
        parts: list[Any] = [(name, (None, text)) for name, text in texts.items() if form[name] is not None]
        parts += [("workflow_attachment", (name, content)) for name, content in (files or {}).items()]
        return client(role).post(f"{WES}/runs", files=parts)

    return send
