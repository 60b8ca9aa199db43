"""A workflow for batches, whose runs are stopped in the database alone."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator

import pytest
from support.batches import INPUTS, end_all, stop_in_database

from cwl_ui_plugin.library.versions import StoredVersion
from cwl_ui_plugin.services.batches import stops


@pytest.fixture
def dag_id(add: Callable[..., StoredVersion]) -> Iterator[str]:
    """A workflow that needs ``text`` and takes ``file``."""
    name = f"batches-{uuid.uuid4().hex[:8]}"
    add(name, inputs=INPUTS)
    yield name
    end_all(name)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stop runs in the database alone: there are no processes."""
    monkeypatch.setattr(stops.stops, "stop_run", stop_in_database)
