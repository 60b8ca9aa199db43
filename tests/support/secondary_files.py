"""Which secondary files a workflow names, told without a process of its own for each question."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cwl_ui_plugin.cwl.engine import secondary_names


@pytest.fixture
def ask_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask cwltool in this process; another one for each case would take seconds."""

    def ask(request: str, _folder: str) -> dict[str, Any]:
        asked = json.loads(request)
        found = secondary_names._looked_for(Path(asked["compiled"]), Path(asked["source"]), asked["job"])
        return {"locations": found}

    monkeypatch.setattr(secondary_names, "_asked", ask)
