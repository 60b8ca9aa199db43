"""``cwl-ui-plugin batch``: many runs of a workflow from one sheet of samples; follow, stop or retry them."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TypedDict

from cwl_ui_client.models import ENDED
from cwl_ui_client.running import BATCH_SECONDS
from cwl_ui_client.steps import Form, workflow_path

from cwl_ui_plugin import addresses
from cwl_ui_plugin.cli.client import Client, add_server_arguments, path_of, problem_lines
from cwl_ui_plugin.cli.errors import UsageError

POLL_SECONDS = 2.0
_PAGE = 500


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("dag_id", metavar="DAG_ID", help="name of the workflow; without more, its batches are listed")
    parser.add_argument("sheet", metavar="SHEET", nargs="?", help="CSV, TSV or XLSX, whose first row names the columns")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--show", metavar="BATCH_ID", help="show a batch and its rows")
    what.add_argument("--stop", metavar="BATCH_ID", help="stop a batch, and wait until nothing of it is left")
    what.add_argument("--retry", metavar="BATCH_ID", help="start rows again that failed, were stopped or refused")
    what.add_argument("--outputs", metavar="BATCH_ID", help="save the outputs of all rows: --to x.csv, or --to x.zip")
    what.add_argument("--template", metavar="FILE", help="save a sheet to fill in, as .csv or .xlsx")
    parser.add_argument("--map", action="append", default=[], metavar="COLUMN=INPUT", help=_MAP)
    parser.add_argument("--constant", action="append", default=[], metavar="INPUT=VALUE", help=_CONSTANT)
    parser.add_argument("--name", default="", help="what the batch is called")
    parser.add_argument("--name-column", metavar="COLUMN", help="the column that names the samples (default: guessed)")
    parser.add_argument("--folder", default="", help="the folder, on the server, that relative names of files are in")
    parser.add_argument("--start", choices=("all", "good", "none"), default="all", help=_START)
    parser.add_argument("--max-active", type=int, metavar="NUMBER", help="how many runs there may be at a time")
    parser.add_argument("--rows", metavar="NUMBERS", help="with --retry: these rows only, such as 2,5,17")
    parser.add_argument("--to", type=Path, metavar="FILE", help="with --outputs: where to")
    parser.add_argument("--wait", action="store_true", help="wait until all runs have ended; 1 if any did not succeed")
    add_server_arguments(parser)


_MAP = "which input a column gives: input, reads.0, sample.id; empty: none. Others are guessed from their names"
_CONSTANT = "a value of an input for all rows: JSON, or else a text"
_START = "all: nothing starts if a row is wrong; good: start the good rows alone; none: only check (default: all)"


def run(arguments: argparse.Namespace) -> int:
    """Do what is asked for."""
    client = Client.of(arguments)
    path = workflow_path(arguments.dag_id)
    if arguments.sheet:
        if any((arguments.show, arguments.stop, arguments.retry, arguments.outputs, arguments.template)):
            raise UsageError("Give either a sheet, or what is to be done with a batch that is there.")
        return _make(client, path, arguments)
    if arguments.template:
        return _save(client, f"{path}/sample-sheet?format={_kind(arguments.template)}", Path(arguments.template))
    if batch_id := arguments.show or arguments.stop or arguments.retry or arguments.outputs:
        return _on_one(client, f"{path}/batches{path_of(batch_id)}", arguments)
    for batch in client.get(f"{path}/batches")["batches"]:
        print(batch["id"], batch["state"], _counted(batch), batch["name"], sep="\t")
    return 0


def _on_one(client: Client, path: str, arguments: argparse.Namespace) -> int:
    """Show, stop or retry a batch, or save its outputs."""
    if arguments.outputs:
        if arguments.to is None:
            raise UsageError("Name the file with --to: x.csv for a table, x.zip for all files.")
        is_table = arguments.to.suffix == ".csv"
        return _save(client, f"{path}/outputs?format=csv" if is_table else f"{path}/zip", arguments.to)
    if arguments.stop:
        changed = client.post(f"{path}/stop", timeout=BATCH_SECONDS)
        print(f"Stopped; {changed['changed']} rows had not ended. {_counted(changed['batch'])}")
        return 0
    if arguments.retry:
        changed = client.post(f"{path}/retry", json={"rows": _numbers(arguments.rows)})
        print(f"Started again: {changed['changed']} rows.")
    return _shown(client, path, wait=arguments.wait)


def _make(client: Client, path: str, arguments: argparse.Namespace) -> int:
    form = _form(arguments)
    if given := _pairs(arguments.map, "--map"):
        guessed = _guessed(client, path, form)
        others = {column: place for column, place in guessed.items() if place not in given.values()}
        form["mapping"] = json.dumps({**others, **given})
    made = client.request("POST", f"{addresses.REST}{path}/batches", form=form, timeout=BATCH_SECONDS).json()
    for line in problem_lines(made):
        print(line, file=sys.stderr)
    named = ", ".join(f"{column} → {place}" for column, place in made["mapping"].items())
    print(f"{made['rows']} rows, {made['bad']} of them wrong. Columns: {named or 'none'}", file=sys.stderr)
    if made["unused"]:
        print(f"Columns that are not used: {', '.join(made['unused'])}", file=sys.stderr)
    if made["batch_id"] is None:
        return 1 if made["bad"] else 0
    print(made["batch_id"])
    return _shown(client, f"{path}/batches{path_of(made['batch_id'])}", wait=True) if arguments.wait else 0


def _form(arguments: argparse.Namespace) -> dict[str, str | tuple[str, bytes]]:
    sheet = Path(arguments.sheet)
    try:
        content = sheet.read_bytes()
    except OSError as error:
        raise UsageError(f"The sheet {sheet} can't be read: {error.strerror}.") from error
    form: dict[str, str | tuple[str, bytes]] = {"sheet": (sheet.name, content), "start": arguments.start}
    constants = {name: _value(text) for name, text in _pairs(arguments.constant, "--constant").items()}
    more = {
        "constants": json.dumps(constants) if constants else "",
        "name": arguments.name,
        "name_column": arguments.name_column or "",
        "folder": arguments.folder,
        "max_active": "" if arguments.max_active is None else str(arguments.max_active),
    }
    return {**form, **{name: text for name, text in more.items() if text}}


def _guessed(client: Client, path: str, form: Form) -> dict[str, str]:
    """Return the mapping that the server guesses for a sheet; nothing is started."""
    asked = {**form, "start": "none"}
    found = client.request("POST", f"{addresses.REST}{path}/batches", form=asked).json()
    return dict(found["mapping"])


def _pairs(given: Iterable[str], option: str) -> dict[str, str]:
    pairs = [text.partition("=") for text in given]
    if wrong := [name for name, sign, _value in pairs if not sign or not name]:
        raise UsageError(f"{option} {wrong[0]}: write NAME=VALUE.")
    return {name: value for name, _sign, value in pairs}


def _value(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _numbers(text: str | None) -> list[int] | None:
    try:
        return [int(part) for part in text.split(",")] if text else None
    except ValueError:
        raise UsageError(f"--rows {text}: write numbers of rows with commas, such as 2,5,17.") from None


def _kind(name: str) -> str:
    kind = Path(name).suffix.removeprefix(".").lower()
    if kind not in ("csv", "xlsx"):
        raise UsageError(f"{name}: the name of a sheet ends with .csv or .xlsx.")
    return kind


def _save(client: Client, path: str, target: Path) -> int:
    client.download(path, target)
    print(f"Saved as {target}.", file=sys.stderr)
    return 0


def _shown(client: Client, path: str, *, wait: bool) -> int:
    """Print a batch and its rows, once they have ended if they are waited for."""
    before = ""
    batch = client.get(path, params={"limit": "0"})
    while wait and batch["state"] not in ENDED:
        if (now := _counted(batch)) != before:
            print(now, file=sys.stderr)
            before = now
        time.sleep(POLL_SECONDS)
        batch = client.get(path, params={"limit": "0"})
    print(f"{batch['name']}: {batch['state']}. {_counted(batch)}", file=sys.stderr)
    if batch["problem"]:
        print(f"No run can be created just now: {batch['problem']}", file=sys.stderr)
    for offset in range(0, batch["total"], _PAGE):
        for row in client.get(path, params={"limit": str(_PAGE), "offset": str(offset)})["rows"]:
            print(row["number"], row["name"], row["state"], row["run_id"] or "", sep="\t")
            for problem in row["problems"]:
                print(f"  {problem['message']}", file=sys.stderr)
    return 1 if wait and batch["state"] != "success" else 0


class _Counts(TypedDict):
    """How far a batch is: rows by state, and percent."""

    counts: dict[str, int]
    progress: int


def _counted(batch: _Counts) -> str:
    counts = ", ".join(f"{count} {state}" for state, count in sorted(batch["counts"].items()))
    return f"{batch['progress']} %: {counts}"
