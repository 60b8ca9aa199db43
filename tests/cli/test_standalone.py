"""The users of a standalone server beside its administrator."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from cwl_ui_plugin.cli import main
from cwl_ui_plugin.cli.home import Home


@pytest.mark.parametrize("user", ["ada", "ada:", "ada:boss", "admin:viewer", "a,b:user", "a:b:user", ":user", "é:user"])
def test_a_user_that_airflow_could_not_take_is_refused_before_anything_starts(
    user: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main.main(["standalone", "--home", str(tmp_path / "home"), "--add-user", user])
    assert ended.value.code == 2
    assert "is not NAME:ROLE" in capsys.readouterr().err
    assert not (tmp_path / "home").exists()


def test_users_keep_their_passwords_and_the_administrator_stays(tmp_path: Path) -> None:
    first = Home(tmp_path, "simple", {"ada": "user", "bob": "viewer"})
    settings = first.prepare("127.0.0.1", 8080, [])
    assert settings["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS"] == "ada:user,bob:viewer,admin:admin"
    assert json.loads((tmp_path / "passwords.json").read_text()) == first.passwords
    assert len(set(first.passwords.values())) == 3
    again = Home(tmp_path, "simple", {"ada": "op"})
    again.prepare("127.0.0.1", 8080, [])
    assert again.passwords == {name: first.passwords[name] for name in ("admin", "ada")}


@pytest.mark.parametrize("host", ["0.0.0.0", "127.0.0.1"])
def test_tasks_find_a_server_that_listens_on_all_addresses_on_this_machine(tmp_path: Path, host: str) -> None:
    settings = Home(tmp_path, "simple").prepare(host, 8080, [])
    assert settings["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == "http://127.0.0.1:8080/execution/"
    name = socket.getfqdn() if host == "0.0.0.0" else host
    assert settings["AIRFLOW__API__BASE_URL"] == f"http://{name}:8080"
