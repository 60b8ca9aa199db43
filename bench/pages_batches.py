"""The pages of a batch of many samples: the first byte, until they can be used; and checking its sheet."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import browser
import common
import pages
from common import say, seconds

DAG_ID = "bench-batch"
SMALL = 50


def main() -> None:
    options = common.options(__doc__, rows=(5000, "rows of the batch"))
    with tempfile.TemporaryDirectory(prefix="cwl-bench-") as folder:
        home = Path(folder)
        pages._prepare(home)
        app = pages._app()
        pages._upload(DAG_ID, pages.EXAMPLE, "gc-content.cwl")
        (home / "inputs").mkdir(exist_ok=True)
        (home / "inputs/genome.fa").write_text(">a\nACGT\n")
        say(f"making batches of {SMALL} and {options.rows} rows")
        batches = {count: _batch(home, count) for count in (SMALL, options.rows)}
        with pages._served(app) as address:
            rows = _measure(app, address, batches, options.repeat)
    text = (
        f"Batches of a workflow of 5 steps with {SMALL} and with {options.rows:,} samples, all runs and their tasks in "
        "the database (SQLite), and a tenth of them failed; a page has up to 100 samples. The last column is how much "
        "longer the large one takes until it can be used, or where it is for a script, to the first byte.\n\n"
        + common.table(["page", f"first byte, {SMALL}", "first byte", "size", "usable", "ratio"], rows)
    )
    common.write_section(options.page, "pages-batches", text, options.repeat)


def _sheet(count: int) -> Any:
    from cwl_ui_plugin.services.batches import sheets

    return sheets.read_text("sample\tgenome\n" + "".join(f"S{number:05}\tgenome.fa\n" for number in range(count)))


def _batch(home: Path, count: int) -> str:
    """Make a batch whose first row has a run, and copy that for all others."""
    from cwl_ui_plugin.services.batches.submitting import Wanted, submit
    from cwl_ui_plugin.services.inputs.access import shared_only

    made = submit(Wanted(DAG_ID, _sheet(count), name=f"{count} rows"), user="admin", files=shared_only()).batch
    assert made is not None
    with closing(sqlite3.connect(home / "airflow.db", timeout=60)) as database:
        (run_id, key) = database.execute(
            "SELECT run_id, run_key FROM cwl_batch_row WHERE batch_id = ? AND run_id IS NOT NULL", [made.id]
        ).fetchone()
        first = 1 + database.execute("SELECT max(id) FROM dag_run").fetchone()[0]
        names, state = f"'batch-{made.id}-copy-' || n", "CASE WHEN n % 10 = 0 THEN 'failed' ELSE 'success' END"
        copies: dict[str, dict[str, str]] = {
            "dag_run": {"id": f"{first} + n", "run_id": names, "state": state, "logical_date": "NULL"},
            "task_instance": {"id": "lower(hex(randomblob(16)))", "run_id": names, "state": state},
        }
        for table, changed in copies.items():
            columns = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
            values = ", ".join(changed.get(name, f"{table}.{name}") for name in columns)
            database.execute(
                f"WITH RECURSIVE numbers(n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count + 1}) "
                f"INSERT INTO {table} ({', '.join(columns)}) SELECT {values} FROM {table}, numbers WHERE run_id = ?",
                [run_id],
            )
        database.execute(
            f"UPDATE cwl_batch_row SET state = 'started', run_id = 'batch-{made.id}-copy-' || number, "
            f"run_key = {first} + number WHERE batch_id = ?",
            [made.id],
        )
        database.execute("UPDATE dag_run SET state = 'success' WHERE id = ?", [key])
        database.commit()
    return made.id


def _measure(app: Any, address: str, batches: dict[int, str], repeat: int) -> list[list[str]]:
    token = browser.admin_token()
    client = app.test_client()
    client.set_cookie("_token", token)
    small, large = (f"/cwl/workflows/{DAG_ID}/batches/{batch_id}" for batch_id in batches.values())
    shown = {
        "its first samples": ("", "table.matrix td.step"),
        "its last samples": (f"?offset={max(batches) - 100}", "table.matrix td.step"),
        "failed ones": ("?state=failed", "table.matrix td.step"),
        "a sample by its name": ("?text=S00042", "table.matrix td.step"),
        "outputs": ("/outputs", "table tbody th"),
    }
    client.get(small).get_data()
    say("first bytes")
    answered = {
        name: [pages._first_byte(client, place + query, repeat) for place in (small, large)]
        for name, (query, _) in shown.items()
    }
    rows = []
    with browser.logged_in(address, token) as page:
        for name, (query, selector) in shown.items():
            say(name)
            has_both = "offset" not in query
            places = (small, large) if has_both else (large,)
            usable = [browser.usable(page, address + place + query, selector, repeat) for place in places]
            (first, *_), (longer, size, _queries) = answered[name]
            ratio = f"{usable[-1] / usable[0]:.1f}" if has_both else ""
            rows.append([name, seconds(first), seconds(longer), f"{size / 1000:.0f} kB", seconds(usable[-1]), ratio])
    say("checking sheets")
    checks = [common.median([common.timed(_check(count)) for _ in range(repeat)]) for count in batches]
    rows.append(["checking all rows of its sheet", seconds(checks[0]), seconds(checks[1]), "", "", ""])
    return rows


def _check(count: int) -> Callable[[], object]:
    from cwl_ui_plugin.services.batches import drafts
    from cwl_ui_plugin.services.batches.mapping import guess
    from cwl_ui_plugin.services.inputs.access import shared_only
    from cwl_ui_plugin.services.workflows.versions import stored

    plan, sheet = stored(DAG_ID).plan, _sheet(count)
    draft = drafts.Draft(DAG_ID, "admin", "x", sheet, guess(plan, sheet.columns))
    return lambda: drafts.findings_of(draft, plan, shared_only())


if __name__ == "__main__":
    main()
