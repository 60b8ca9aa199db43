"""Answers of a stand-in for a server, for flows of the client library."""

from __future__ import annotations

import json
from typing import Any

from cwl_ui_client.steps import Answer


def answer(data: Any, total: int | None = None) -> Answer:
    return Answer(200, "OK", json.dumps(data).encode(), total)
