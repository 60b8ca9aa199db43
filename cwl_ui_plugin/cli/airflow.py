"""``cwl-ui-plugin airflow``: Airflow's own command with the settings of a standalone server.

These are in the environment of its processes. ``airflow`` without them works on another configuration, and writes what
that says into the same database: the workflows' bundle would be switched off.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from cwl_ui_plugin.cli.errors import CliError, UsageError
from cwl_ui_plugin.cli.home import ENVIRONMENT, OTHERS, default_home
from cwl_ui_plugin.interpreters import module_command


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--home", type=Path, default=default_home(), help="folder of the server (CWL_UI_HOME)")
    parser.add_argument("words", nargs=argparse.REMAINDER, metavar="ARGUMENT", help="what `airflow` is called with")


def run(arguments: argparse.Namespace) -> int:
    """Become ``airflow``; return only where that can't be."""
    home = arguments.home.expanduser().resolve()
    variables = settings_of(home)
    words = arguments.words[1:] if arguments.words[:1] == ["--"] else arguments.words
    if not words:
        raise UsageError("Say what to do, such as: cwl-ui-plugin airflow dags list")
    os.umask(OTHERS)
    command = module_command("cwl_ui_plugin.cli.airflow_process", *words)
    sys.stdout.flush()
    os.execve(sys.executable, command, {**os.environ, **variables})  # noqa: S606 - no shell, our own environment


def settings_of(home: Path) -> dict[str, str]:
    """Return the variables of the server in ``home``.

    Raises:
        CliError: no server has been started there, or not by this version.

    """
    path = home / ENVIRONMENT
    try:
        kept: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CliError(
            f"{path} is not there. A standalone server writes it when it starts: start it once "
            f"(cwl-ui-plugin standalone --home {home}), or name its folder with --home."
        ) from None
    except (OSError, ValueError) as error:
        raise CliError(
            f"{path} can't be read ({error}). Start the standalone server again: it writes it anew."
        ) from error
    return kept
