"""The folder of a standalone server: its secrets, its login, and the environment of its processes."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import secrets
import socket
import stat
from collections.abc import Mapping
from pathlib import Path

from cwl_ui_plugin import atomic
from cwl_ui_plugin.cli.airflow_settings import recommended, with_bundle

OTHERS = 0o077
EVERYWHERE = ("0.0.0.0", "::", "")  # noqa: S104
"""Hosts that stand for all addresses of this machine."""
USER = "admin"
ROLES = ("viewer", "user", "op", "admin")
"""Airflow's roles, as SimpleAuthManager names them; FabAuthManager's are the same with a capital."""
AUTH_MANAGERS = {
    "simple": "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager",
    "fab": "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager",
}


PATIENCE = {
    # A task outlives an API server that is started again: 3 minutes instead of 15 seconds.
    "AIRFLOW__WORKERS__EXECUTION_API_RETRIES": "60",
    "AIRFLOW__WORKERS__EXECUTION_API_RETRY_WAIT_MAX": "5",
    # On a busy machine an answer takes longer than 5 seconds.
    "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "30",
    # The tasks of a scheduler that died are started again once it is taken for dead (30 s), not up to 5 minutes later.
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "10",
}
"""Settings that the environment may set otherwise."""
ITS_OWN = ("airflow.cfg", "airflow.db*", "bundles", "cwl", "logs", "*.json", "webserver_config.py")
"""What a server makes in its home; what somebody puts there (dags, plugins) is theirs."""
ENVIRONMENT = "environment.json"
"""The file in a home with the variables by which its processes find Airflow's settings, see ``airflow``."""


class Home:
    """A folder that belongs to one standalone server.

    ``roles`` are those of users beside the administrator, by name; ``passwords`` those of all users, once prepared.
    """

    def __init__(self, folder: Path, auth: str, roles: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.auth = auth
        self.user = USER
        self.roles = {**(roles or {}), USER: "admin"}
        self.passwords: dict[str, str] = {}

    @property
    def password(self) -> str:
        """The administrator's password, once prepared."""
        return self.passwords[USER]

    @property
    def logs(self) -> Path:
        """Where the components write."""
        return self.folder / "logs"

    def prepare(self, host: str, port: int, input_roots: list[Path]) -> dict[str, str]:
        """Make the folder ready; return the environment for Airflow's processes."""
        self.folder.mkdir(parents=True, exist_ok=True)
        tighten(self.folder)
        for folder in (self.logs, self.folder / "dags", self.folder / "plugins"):
            folder.mkdir(parents=True, exist_ok=True)
        kept = self._secrets()
        self.passwords = {USER: kept["password"]}
        for name in self.roles.keys() - {USER}:
            self.passwords[name] = _password_of(name, kept["password"])
        _write_secret(self._passwords_file, json.dumps(self.passwords))
        settings = self._settings(kept, host, port)
        settings["AIRFLOW__CWL__INPUT_ROOTS"] = ":".join(str(root.expanduser().resolve()) for root in input_roots)
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("AIRFLOW_HOME")}
        environment = {**PATIENCE, **{k: v for k, v in inherited.items() if k not in settings}, **settings}
        kept_settings = {key: value for key, value in environment.items() if key.startswith("AIRFLOW")}
        _write_secret(self.folder / ENVIRONMENT, json.dumps(kept_settings))
        return environment

    def _settings(self, kept: Mapping[str, str], host: str, port: int) -> dict[str, str]:
        """Return what Airflow and the plugin are told, with the secrets that are kept."""
        users = [[name, role, self.passwords[name]] for name, role in self.roles.items()]
        settings = {
            "AIRFLOW_HOME": str(self.folder),
            "AIRFLOW__CORE__AUTH_MANAGER": AUTH_MANAGERS[self.auth],
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(f"{name}:{role}" for name, role in self.roles.items()),
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(self._passwords_file),
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            # The default of 32 worker processes is for a server, not for somebody's own machine.
            "AIRFLOW__CORE__PARALLELISM": str(max(4, 2 * (os.cpu_count() or 1))),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            # The test report is a test of a connection; who may save one here is trusted to.
            "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
            "AIRFLOW__CORE__FERNET_KEY": kept["fernet_key"],
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://{local_address(host)}:{port}/execution/",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{self.folder / 'airflow.db'}",
            "AIRFLOW__API__BASE_URL": f"http://{public_name(host)}:{port}",
            "AIRFLOW__API__SECRET_KEY": kept["secret_key"],
            "AIRFLOW__API_AUTH__JWT_SECRET": kept["jwt_secret"],
            # Airflow gives its task logs these modes, whatever the umask is.
            "AIRFLOW__LOGGING__FILE_TASK_HANDLER_NEW_FOLDER_PERMISSIONS": "0o700",
            "AIRFLOW__LOGGING__FILE_TASK_HANDLER_NEW_FILE_PERMISSIONS": "0o600",
            "CWL_UI_USERS": json.dumps(users),
        }
        for setting in recommended(with_bundle(None), str(self.folder / "bundles")):
            settings[setting.variable] = setting.value
        return settings

    @property
    def _passwords_file(self) -> Path:
        return self.folder / "passwords.json"

    def _secrets(self) -> dict[str, str]:
        """Return the secrets of this home, made on its first start."""
        path = self.folder / "secrets.json"
        if path.exists():
            kept: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
            return kept
        made = {
            "fernet_key": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            "jwt_secret": secrets.token_urlsafe(64),
            "secret_key": secrets.token_urlsafe(32),
            "password": secrets.token_urlsafe(12),
        }
        _write_secret(path, json.dumps(made))
        return made


def default_home() -> Path:
    """Return the folder of a standalone server for which nobody names another."""
    return Path(os.environ.get("CWL_UI_HOME", "~/.cwl-ui-plugin"))


def local_address(host: str) -> str:
    """Return where a server that listens on ``host`` is found from this machine."""
    return "127.0.0.1" if host in EVERYWHERE else host


def public_name(host: str) -> str:
    """Return what a server that listens on ``host`` is called by other machines, if they can reach it."""
    return socket.getfqdn() if host in EVERYWHERE else host


def tighten(folder: Path) -> None:
    """Let a home that others could look into, of an earlier version or made by somebody else, be its user's only."""
    if not folder.stat().st_mode & OTHERS:
        return
    folder.chmod(0o700)
    for pattern in ITS_OWN:
        for path in folder.glob(pattern):
            _tighten(path)
            for inner, folders, files in os.walk(path):  # links are not followed
                for name in (*folders, *files):
                    _tighten(Path(inner, name))


def _tighten(path: Path) -> None:
    with contextlib.suppress(OSError):  # gone meanwhile, or of another user, who can't get in any more
        mode = path.lstat().st_mode
        if not stat.S_ISLNK(mode) and mode & OTHERS:
            path.chmod(stat.S_IMODE(mode) & ~OTHERS)


def _password_of(name: str, secret: str) -> str:
    """Return a user's password: the same on each start, and as hard to guess as the secret that it is made from."""
    return base64.urlsafe_b64encode(
        hashlib.blake2b(name.encode(), key=secret.encode(), digest_size=12).digest()
    ).decode()


def _write_secret(path: Path, text: str) -> None:
    atomic.write_text(path, text, mode=atomic.OWNER_ONLY)
