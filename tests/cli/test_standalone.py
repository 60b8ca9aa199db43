"""The users of a standalone server beside its administrator."""

from __future__ import annotations

import json
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
