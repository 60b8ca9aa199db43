"""Which secondary files a workflow names, told without a process of its own for each question."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cwl_ui_plugin.cwl.engine import secondary_names


@pytest.fixture
def ask_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask cwltool in this process; another one for each case would take seconds."""

    def ask(request: str, _folder: str) -> dict[str, Any]:
        return secondary_names._answered(json.loads(request))

    monkeypatch.setattr(secondary_names, "_asked", ask)
