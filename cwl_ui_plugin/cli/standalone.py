"""``cwl-ui-plugin standalone``: all of Airflow with the plugin, on SQLite and the LocalExecutor, in one folder."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import signal
import socket
import sys
import time
from datetime import datetime
from pathlib import Path

from cwl_ui_plugin import atomic
from cwl_ui_plugin.cli.components import Components
from cwl_ui_plugin.cli.errors import UsageError
from cwl_ui_plugin.cli.home import ROLES, USER, Home, default_home, local_address
from cwl_ui_plugin.cli.readiness import Readiness
from cwl_ui_plugin.interpreters import module_command

PRIVATE = 0o077
"""The umask of all processes: what they make is for their user only."""
POLL_SECONDS = 0.3
COMPONENTS = ("scheduler", "dag-processor", "triggerer")
# These serve logs to API servers on other machines, on all addresses of this one. Here the API server reads the files.
WITHOUT_LOG_SERVER = {"scheduler": ["--skip-serve-logs"], "triggerer": ["--skip-serve-logs"]}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--port", type=int, default=8080, help="port of the web UI and the APIs; 0 takes a free one")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--home", type=Path, default=default_home(), help="folder for everything (CWL_UI_HOME)")
    parser.add_argument("--auth", choices=("simple", "fab"), default="simple", help="Airflow's auth manager")
    parser.add_argument(
        "--add-user",
        type=_user,
        action="append",
        default=[],
        metavar="NAME:ROLE",
        help=f"a user beside the administrator; roles: {', '.join(ROLES)}; may be given several times",
    )
    parser.add_argument("--ready-file", type=Path, help="write url, user, password and pid here once runs can start")
    parser.add_argument(
        "--input-root", type=Path, action="append", default=[], help="a folder that input files may come from"
    )


def _user(text: str) -> tuple[str, str]:
    name, _, role = text.partition(":")
    if not re.fullmatch(r"[\w.@-]{1,64}", name, re.ASCII) or name == USER or role not in ROLES:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not NAME:ROLE with a name of letters, digits and . _ @ - that is not {USER}, "
            f"and a role of {', '.join(ROLES)}"
        )
    return name, role


def run(arguments: argparse.Namespace) -> int:
    """Start everything, say when it is ready, and stop it all on SIGTERM or Ctrl-C."""
    os.umask(PRIVATE)
    port = arguments.port or _free_port(arguments.host)
    if arguments.port and not _is_free(arguments.host, port):
        raise UsageError(f"Port {port} is taken; choose another with --port, or --port 0 for any.")
    home = Home(arguments.home.expanduser().resolve(), arguments.auth, dict(arguments.add_user))
    environment = home.prepare(arguments.host, port, arguments.input_root)
    stopping = _StopSignals()
    components = Components(home.logs, environment, _say)
    url = f"http://{local_address(arguments.host)}:{port}"
    try:
        _start(components, home, port, arguments.host, stopping)
        _wait_until_ready(components, url, stopping)
        if not stopping.asked:
            _announce(arguments.ready_file, url, home)
        while not stopping.asked:
            components.keep_running()
            time.sleep(POLL_SECONDS)
    finally:
        components.stop()
        if arguments.ready_file:
            arguments.ready_file.unlink(missing_ok=True)
    return 0


def _say(text: str) -> None:
    print(f"{datetime.now():%Y-%m-%d %H:%M:%S} {text}", file=sys.stderr, flush=True)


class _StopSignals:
    """Remembers that somebody asked to stop."""

    def __init__(self) -> None:
        self.asked = False
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._ask)

    def _ask(self, *_arguments: object) -> None:
        self.asked = True


def _start(components: Components, home: Home, port: int, host: str, stopping: _StopSignals) -> None:
    """Bring the database up to date, then start all components side by side."""
    print(f"Preparing {home.folder} …", flush=True)
    components.finish("migrate", module_command("cwl_ui_plugin.cli.migrate", home.auth), lambda: stopping.asked)
    if stopping.asked:
        return
    print("Starting Airflow …", flush=True)
    airflow = module_command("cwl_ui_plugin.cli.airflow_process")
    components.start("api-server", [*airflow, "api-server", "--host", host, "--port", str(port), "--workers", "1"])
    for name in COMPONENTS:
        components.start(name, [*airflow, name, *WITHOUT_LOG_SERVER.get(name, ())])


def _wait_until_ready(components: Components, url: str, stopping: _StopSignals) -> None:
    """Wait as long as what is not ready yet makes progress, however slow the machine is."""
    readiness = Readiness(url, components)
    while not stopping.asked:
        components.keep_running()
        if readiness.look():
            return
        time.sleep(POLL_SECONDS)


def _announce(ready_file: Path | None, url: str, home: Home) -> None:
    data = {"url": url, "user": home.user, "password": home.password, "pid": os.getpid()}
    if len(home.passwords) > 1:
        data["passwords"] = home.passwords
    logins = "\n".join(f"Login: {name}  Password: {password}" for name, password in home.passwords.items())
    print(f"\nReady: {url}\n{logins}\nStop with Ctrl-C.", flush=True)
    if ready_file:
        atomic.write_text(ready_file, json.dumps(data), mode=atomic.OWNER_ONLY)


def _free_port(host: str) -> int:
    with socket.socket() as listener:
        listener.bind((host, 0))
        return int(listener.getsockname()[1])


def _is_free(host: str, port: int) -> bool:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):
            listener.bind((host, port))
            return True
    return False
