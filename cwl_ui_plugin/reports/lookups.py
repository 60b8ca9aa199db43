"""Connections and Variables where Airflow looks for them: secrets backends, the environment, its database."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeVar

from cwl_ui_plugin.reports.errors import BadTarget, Undecryptable

if TYPE_CHECKING:
    from airflow.models.connection import Connection
    from airflow.secrets import BaseSecretsBackend

log = logging.getLogger(__name__)
DATABASE = "Airflow's database"
T = TypeVar("T")
_complaints: set[str] = set()


def find_connection(conn_id: str, *, beside_database: bool = False) -> tuple[Connection | None, str]:
    """Return a Connection and where it comes from, or None and an empty text; ``beside_database`` leaves that out.

    Raises:
        BadTarget: it was not found, and one of the places can't be asked.

    """
    variable = f"AIRFLOW_CONN_{conn_id.upper()}"
    return _find(f"the Connection {conn_id}", variable, lambda place: place.get_connection(conn_id), beside_database)


def find_variable(key: str) -> tuple[str | None, str]:
    """Return a Variable and where it comes from; as :func:`find_connection`.

    Raises:
        BadTarget: it was not found, and one of the places can't be asked, or has it so that it can't be decrypted.

    """
    return _find(f"the Variable {key}", f"AIRFLOW_VAR_{key.upper()}", lambda place: _variable_in(place, key), False)


def _variable_in(place: BaseSecretsBackend, key: str) -> str | None:
    """Return a Variable of one place; to Airflow's database one that can't be decrypted is one that is not there."""
    from airflow.models.variable import Variable
    from airflow.secrets.metastore import MetastoreBackend
    from airflow.utils.session import create_session
    from sqlalchemy import select

    found: str | None = place.get_variable(key)
    if found is None and isinstance(place, MetastoreBackend):
        with create_session(scoped=False) as session:
            if session.scalar(select(Variable.id).where(Variable.key == key)) is not None:
                raise Undecryptable(
                    f"The Variable {key} can't be decrypted with [core] fernet_key. Set that to the key with which it "
                    "was stored, or set the Variable anew."
                )
    return found


def _find(
    what: str, variable: str, ask: Callable[[BaseSecretsBackend], T | None], beside_database: bool
) -> tuple[T | None, str]:
    """Ask one place after the other, as Airflow does; but one that fails does not make a setting one that is not there.

    Reports would not be recorded then, or be sent unsigned.
    """
    failed = []
    for place, name in _places(variable):
        if beside_database and name == DATABASE:
            continue
        try:
            found = ask(place)
        except Undecryptable:
            raise
        except Exception as error:
            failed.append(name)
            _complain(f"{what} can't be looked for in {name}: {error!r}")
            continue
        if found is not None:
            return found, name
    if failed:
        raise BadTarget(f"It is not known whether {what} is set: {', '.join(failed)} can't be asked. The log says why.")
    return None, ""


def _places(variable: str) -> Iterator[tuple[BaseSecretsBackend, str]]:
    from airflow.configuration import ensure_secrets_loaded
    from airflow.secrets.environment_variables import EnvironmentVariablesBackend
    from airflow.secrets.metastore import MetastoreBackend

    for place in ensure_secrets_loaded():
        if isinstance(place, MetastoreBackend):
            yield place, DATABASE
        elif isinstance(place, EnvironmentVariablesBackend):
            yield place, f"the environment ({variable})"
        else:
            yield place, f"the secrets backend {type(place).__name__}"


def _complain(text: str) -> None:
    if text not in _complaints:
        _complaints.clear()
        _complaints.add(text)
        log.warning(text)
