"""The entry of the command: which subcommand is meant. Only that one's module is imported."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from typing import Any

from cwl_ui_plugin.cli.errors import CliError
from cwl_ui_plugin.version import __version__

DEBUG = "CWL_UI_DEBUG"
"""Set in the environment, an unforeseen error ends with a traceback."""

# Each module has ``add_arguments(parser)`` and ``run(arguments) -> exit code``.
COMMANDS = {
    "standalone": ("standalone", "start everything on embedded defaults, for trying out and for one machine"),
    "airflow": ("airflow", "call Airflow's own command with the settings of a standalone server"),
    "init": ("init", "set up an existing Airflow home"),
    "uninstall": ("uninstall", "undo what init did, before the plugin is removed"),
    "upload": ("upload", "upload workflows to a running server"),
    "migrate-dags": ("migrate_dags", "rewrite or upload Dag files of cwl-airflow-parser and CWL-Airflow"),
    "recompile": ("recompile", "compile workflows again that an earlier version has compiled, or that failed"),
    "run": ("run", "run a workflow and print its output object, as a CWL runner does"),
    "trigger": ("trigger", "start a run, signed or not"),
    "schedule": ("schedule", "show, save, pause or remove the schedule of a workflow"),
    "batch": ("batch", "start many runs from one sheet of samples; follow, stop or retry them"),
    "stop": ("stop", "stop a run and wait until it is proven"),
    "crate": ("crate", "save a run as a Workflow Run RO-Crate: what was done, on what, with what outcome"),
    "crate-import": ("crate_import", "upload the workflow of a crate and the files of its run, to run it again"),
    "report": ("crate", "save the report of a run: one HTML page to read, print and keep"),
    "continue": ("continuing", "let a failed run go on, or one of a mended version take over from it"),
    "clean": ("clean", "remove what the options of the server say may go, or tell what that would be"),
    "report-simulate": ("report_simulate", "send the reports of a run that is not there, to try a receiver"),
    "report-server": ("report_server", "receive reports, verify and print them"),
    "keys": ("keys", "make a key pair for signing"),
}


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    words = sys.argv[1:] if arguments is None else arguments
    parser = argparse.ArgumentParser(prog="cwl-ui-plugin", description="CWL workflows on Apache Airflow.")
    parser.add_argument("--version", action="version", version=f"cwl-ui-plugin {__version__}")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    wanted = next((word for word in words if word in COMMANDS), None)
    module: Any = None
    for name, (module_name, help_text) in COMMANDS.items():
        subparser = subparsers.add_parser(name, help=help_text, description=help_text.capitalize() + ".")
        if name == wanted:
            module = importlib.import_module(f"cwl_ui_plugin.cli.{module_name}")
            module.add_arguments(subparser)
    parsed = parser.parse_args(words)
    try:
        return _run(module, parsed)
    except CliError as error:
        print(f"cwl-ui-plugin {parsed.command}: {error}", file=sys.stderr)
        return error.code
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        if os.environ.get(DEBUG):
            raise
        print(f"cwl-ui-plugin {parsed.command}: {_in_a_line(error)}", file=sys.stderr)
        return 1


def _run(module: Any, parsed: argparse.Namespace) -> int:
    try:
        code = int(module.run(parsed))
        sys.stdout.flush()
    except BrokenPipeError:  # whoever reads the output has read enough; Python would complain once more at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return code


def _in_a_line(error: Exception) -> str:
    """Return what is told of an error that nobody has foreseen."""
    text = " ".join(str(error).split())
    if isinstance(error, OSError) and error.strerror:
        where = f": {error.filename}" if error.filename else ""
        return f"{error.strerror}{where}"
    return f"{type(error).__name__}: {text} (an error of this command; {DEBUG}=1 shows where)"


if __name__ == "__main__":
    sys.exit(main())
