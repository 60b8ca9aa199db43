"""``cwl-ui-plugin clean``: have a server remove what its options say may go; or tell what that would be."""

from __future__ import annotations

import argparse
from typing import TypedDict

from cwl_ui_plugin.cli.client import Client, add_server_arguments
from cwl_ui_plugin.cli.errors import CliError
from cwl_ui_plugin.plain_words import bytes_text

TIMEOUT_SECONDS = 24 * 3600.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--dry-run", action="store_true", help="tell what would be removed, remove nothing")
    parser.add_argument("--names", action="store_true", help="name some of it, too")
    add_server_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print a line for each kind."""
    client = Client.of(arguments)
    if arguments.dry_run:
        kinds = client.get("/retention/removable")["kinds"]
    else:
        kinds = client.post("/retention/clean", timeout=TIMEOUT_SECONDS)["kinds"]
    verb = "Would remove" if arguments.dry_run else "Removed"
    for kind in kinds:
        print(_line(verb, kind, is_open=arguments.dry_run))
        for name in kind["names"] if arguments.names else ():
            print(f"  {name}")
    problems = [f"{kind['title']}: {kind['problem']}" for kind in kinds if kind["problem"]]
    if problems:
        raise CliError("; ".join(problems))
    return 0


class _Kind(TypedDict):
    """What there is, or was, to remove of one kind; ``is_all``: there is no more of it."""

    title: str
    items: int
    bytes: int
    is_all: bool


def _line(verb: str, kind: _Kind, *, is_open: bool) -> str:
    more = "" if kind["is_all"] else (" or more" if is_open else "; there is more")
    return f"{verb} {kind['items']} of {kind['title']!r}, {bytes_text(kind['bytes'])}{more}"
