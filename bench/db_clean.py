"""What it takes to notice that ``airflow db clean`` has removed many runs: in all, and in one round of the reporter."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import nullcontext
from datetime import datetime, timezone
from pathlib import Path

import common
from common import ROOT, say, seconds

sys.path.insert(0, str(ROOT / "tests"))

from sqlalchemy import create_engine, text
from support.scale_out import postgresql

PAGE = ROOT / "docs" / "reliability.md"
DATABASES = ("SQLite", "PostgreSQL")
COUNTS = (10_000, 100_000)
TRIES = 5
CHILD = "--measure"


def main() -> None:
    if sys.argv[1:2] == [CHILD]:
        print(json.dumps([_measure(int(count)) for count in sys.argv[2:]]))
        return
    options = common.options(__doc__, database=(2, "0 SQLite, 1 PostgreSQL, 2 both"))
    page = PAGE if options.page == common.PAGE else options.page
    for number, database in enumerate(DATABASES):
        if options.database not in (number, 2):
            continue
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            server = postgresql(folder / "postgresql") if database == "PostgreSQL" else nullcontext(None)
            with server as address:
                rows = _rows(
                    folder, f"postgresql+psycopg2://{address}" if address else f"sqlite:///{folder}/airflow.db"
                )
        table = common.table(["runs removed", "noticed in", "rounds", "longest round", "longest look at others"], rows)
        common.write_section(page, f"db-clean-{database.lower()}", table, 1)


def _rows(folder: Path, url: str) -> list[list[str]]:
    """Measure in a process of its own: Airflow reads its settings once."""
    environment = {**os.environ, "AIRFLOW_HOME": str(folder), "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": url}
    say(f"making {url.partition(':')[0]}")
    migrate = [str(Path(sys.executable).with_name("airflow")), "db", "migrate"]
    subprocess.run(migrate, env=environment, check=True, capture_output=True)
    child = [sys.executable, __file__, CHILD, *map(str, COUNTS)]
    output = subprocess.run(child, env=environment, check=True, capture_output=True, text=True).stdout
    found = json.loads(output.splitlines()[-1])
    return [
        [f"{count:,}", seconds(sum(rounds)), str(len(rounds)), seconds(max(rounds)), seconds(max(looks))]
        for count, (rounds, looks) in zip(COUNTS, found, strict=True)
    ]


def _measure(count: int) -> tuple[list[float], list[float]]:
    """Return the seconds of each round, and those of the looks at other runs between them."""
    from airflow import settings

    from cwl_ui_plugin.reports.deleted import Deletions
    from cwl_ui_plugin.reports.records import Recorder

    _forget_runs(settings.SQL_ALCHEMY_CONN, count)
    deletions, recorder = Deletions(), Recorder()
    rounds: list[float] = []
    looks: list[float] = []
    while not rounds or _left():
        began = time.monotonic()
        deletions.round(late=not rounds)
        rounds.append(time.monotonic() - began)
        began = time.monotonic()
        recorder.record_due(late=True)
        looks.append(time.monotonic() - began)
    return rounds, looks


def _forget_runs(url: str, count: int) -> None:
    """Let there be reports of runs that ended, and of which Airflow has nothing any more."""
    now = datetime.now(timezone.utc).isoformat(sep=" ")
    known = json.dumps({"tries": {f"step{number}|-1|1": "success" for number in range(TRIES)}, "end": "success|0"})
    columns = "dag_id, run_id, run_key, recorded, sequence, delivered, failures, settled_end, settled_state, updated_at"
    row = ":dag_id, :run_id, 1000000, :known, 20, 20, 0, :now, 'success', :now"
    rows = [{"dag_id": "gone", "run_id": f"{count}-{number}", "known": known, "now": now} for number in range(count)]
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text(f"INSERT INTO cwl_report_state ({columns}) VALUES ({row})"), rows)
    engine.dispose()


def _left() -> int:
    from airflow.utils.session import create_session
    from sqlalchemy import func, select

    from cwl_ui_plugin.reports.tables import GONE, ReportState

    with create_session(scoped=False) as session:
        return int(session.scalar(select(func.count()).where(ReportState.run_key != GONE)) or 0)


if __name__ == "__main__":
    main()
