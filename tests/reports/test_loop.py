"""Of several API servers one does the rounds, and another takes over when it is gone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from cwl_ui_plugin.reports.loop import LEASE, Loop


@pytest.fixture
def two(airflow_home: Path) -> Iterator[tuple[Loop, Loop]]:
    expire(remove=True)
    yield Loop([], 1), Loop([], 1)
    expire(remove=True)


def expire(remove: bool = False) -> None:
    """Let the lease be one that nobody has renewed for long, or take it away."""
    from airflow.utils.session import create_session

    from cwl_ui_plugin.reports.tables import Lease

    with create_session() as session:
        row = session.get(Lease, LEASE)
        if row is not None and remove:
            session.delete(row)
        elif row is not None:
            row.expires_at = datetime.now(timezone.utc) - timedelta(seconds=1)


def test_one_holds_the_lease(two: tuple[Loop, Loop]) -> None:
    first, second = two
    assert [first._take_lease(), second._take_lease(), first._take_lease()] == [True, False, True]


def test_another_takes_over_a_lease_that_is_not_renewed(two: tuple[Loop, Loop]) -> None:
    first, second = two
    assert first._take_lease()
    expire()
    assert second._take_lease()
    first._held_until = 0.0
    assert not first._take_lease()
