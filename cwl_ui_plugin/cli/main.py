"""The entry of the command: which subcommand is meant. Only that one's module is imported."""

from __future__ import annotations

import argparse
import importlib
import sys
from typing import Any

from cwl_ui_plugin.cli.errors import CliError
from cwl_ui_plugin.version import __version__

# Each module has ``add_arguments(parser)`` and ``run(arguments) -> exit code``.
COMMANDS = {
    "standalone": ("standalone", "start everything on embedded defaults, for trying out and for one machine"),
    "init": ("init", "set up an existing Airflow home"),
    "upload": ("upload", "upload workflows to a running server"),
    "run": ("run", "run a workflow and print its output object, as a CWL runner does"),
    "trigger": ("trigger", "start a run, signed or not"),
    "stop": ("stop", "stop a run and wait until it is proven"),
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
        return int(module.run(parsed))
    except CliError as error:
        print(f"cwl-ui-plugin {parsed.command}: {error}", file=sys.stderr)
        return error.code
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
