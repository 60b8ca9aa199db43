"""The report Connection and the Variables with the keys: read without secrets, checked before they are written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from cwl_ui_plugin import config
from cwl_ui_plugin.reports.errors import BadTarget, Undecryptable
from cwl_ui_plugin.reports.formats import OURS, format_named
from cwl_ui_plugin.reports.lookups import DATABASE, find_connection, find_variable
from cwl_ui_plugin.reports.target import target_of
from cwl_ui_plugin.services.errors import BadRequest, Unavailable
from cwl_ui_plugin.services.settings_models import KeySetting, ReportConnection
from cwl_ui_plugin.services.signatures import algorithm_of
from cwl_ui_plugin.signing import keys
from cwl_ui_plugin.signing.algorithms import DEFAULT, parse_algorithms
from cwl_ui_plugin.signing.errors import SigningError
from cwl_ui_plugin.signing.keys import KeyPair
from cwl_ui_plugin.variables import (
    ALL,
    REPORT_ALGORITHM,
    REPORT_CONNECTION,
    REPORT_KEY,
    SIGNING_KEY,
    TRIGGER_ALGORITHM,
    TRIGGER_KEY,
    names_of,
)

if TYPE_CHECKING:
    from airflow.models.connection import Connection


MASK = "***"
UNKNOWN = "a secrets backend that can't be asked now"
UNTRUSTED = (
    "Triggers that it signs are refused: its public key is not among the keys that verify triggers. Add the public key "
    "below to them."
)
_SHOWN_EXTRAS = ("verify", "timeout", "routes", "retry_for")
"""What is not among these may be a secret."""


class _SetAnew(Unavailable):
    """Airflow's database has it so that nobody can read it; what is set anew takes its place."""


def report_connection() -> ReportConnection:
    """Return where reports go to."""
    try:
        connection, source = find_connection(REPORT_CONNECTION)
    except BadTarget as error:
        return ReportConnection(is_set=True, source=str(error), elsewhere=UNKNOWN)
    if connection is None:
        return ReportConnection(is_set=False)
    extra = _extra_of(connection)
    return ReportConnection(
        is_set=True,
        schema=connection.schema or "http",
        host=connection.host or "",
        port=connection.port,
        login=connection.login or "",
        has_password=bool(connection.password),
        endpoint=str(extra.pop("endpoint", "")),
        form=_form_of(extra.pop("format", "")),
        extra={key: value if key in _SHOWN_EXTRAS else MASK for key, value in extra.items()},
        source=source,
        elsewhere="" if source == DATABASE else source,
    )


def save_report_connection(
    *,
    schema: str,
    host: str,
    port: int | None,
    endpoint: str,
    form: str | None = None,
    login: str = "",
    password: str | None = None,
    extra: Mapping[str, object] | None = None,
) -> None:
    """Set where reports go to; None as ``password``, ``form`` (their format) or ``extra`` keeps what is there.

    Raises:
        BadRequest: reports could not be sent there.

    """
    from airflow.models.connection import Connection
    from airflow.utils.session import create_session
    from sqlalchemy import select

    if "://" in host:
        raise BadRequest("The host must be a name or an address only, without schema, port or path.", field="host")
    _require_here(report_connection().elsewhere)
    with create_session(scoped=False) as session:
        connection = session.scalar(select(Connection).where(Connection.conn_id == REPORT_CONNECTION))
        if connection is None:
            connection = Connection(conn_id=REPORT_CONNECTION, description="Where cwl-ui-plugin sends reports of runs")
            session.add(connection)
        connection.conn_type = "http"
        connection.schema, connection.host, connection.port = schema, host, port
        connection.login = login or None
        _set_password(connection, password)
        connection.set_extra(json.dumps(_new_extra(_extra_of(connection), extra, endpoint, form)))
        _check_target(connection)


def _set_password(connection: Connection, password: str | None) -> None:
    if password:
        connection.set_password(password)
    elif password is not None:
        connection._password = None  # set_password has no way to remove it


def _new_extra(
    kept: dict[str, object], extra: Mapping[str, object] | None, endpoint: str, form: str | None
) -> dict[str, object]:
    chosen = kept.get("format", OURS) if form is None else form
    named = {} if chosen == OURS else {"format": chosen}
    others = {key: value for key, value in _merged(kept, extra).items() if key != "format"}
    return {**others, "endpoint": endpoint, **named}


def remove_report_connection() -> None:
    """Send no reports from now on."""
    from airflow.models.connection import Connection
    from airflow.utils.session import create_session
    from sqlalchemy import delete

    _require_here(report_connection().elsewhere)
    with create_session(scoped=False) as session:
        session.execute(delete(Connection).where(Connection.conn_id == REPORT_CONNECTION))


def report_key() -> KeySetting:
    """Return what is known of the key that signs reports."""
    return _key_setting(REPORT_KEY, REPORT_ALGORITHM, is_private=True)


def trigger_key() -> KeySetting:
    """Return what is known of the keys that verify triggers."""
    return _key_setting(TRIGGER_KEY, TRIGGER_ALGORITHM, is_private=False)


def signing_key() -> KeySetting:
    """Return what is known of the key that signs the triggers of the trigger page."""
    elsewhere = _elsewhere(SIGNING_KEY)
    try:
        text = variable(SIGNING_KEY)
    except Unavailable as error:
        return KeySetting(key=SIGNING_KEY, is_set=True, problem=error.message, elsewhere=elsewhere)
    if not text:
        return KeySetting(key=SIGNING_KEY, is_set=False)
    try:
        algorithm = algorithm_of(text)
        public = keys.public_of(text) if keys.is_pem(text) else None
        problem = None if _is_trusted(text, public) else UNTRUSTED
    except (SigningError, Unavailable) as error:
        return KeySetting(key=SIGNING_KEY, is_set=True, problem=str(error), elsewhere=elsewhere)
    named = keys.fingerprint(public) if public else keys.SHARED_SECRET
    return KeySetting(SIGNING_KEY, True, named, algorithm, public, problem, elsewhere)


def save_signing_key(private_key: str) -> None:
    """Set the key that signs the triggers of the trigger page; nothing keeps it. Raise :class:`BadRequest`."""
    if not private_key:
        return
    try:
        algorithm_of(private_key)
    except SigningError as error:
        raise BadRequest(str(error), field="private_key") from error
    _save(SIGNING_KEY, private_key)


def save_report_key(private_key: str | None, algorithm: str) -> None:
    """Set the key that signs reports (None keeps it) and its algorithm; raise :class:`BadRequest` if they don't fit."""
    text = private_key if private_key is not None else variable(REPORT_KEY)
    try:
        chosen = _one_algorithm(algorithm)
        if text:
            keys.signing_key(text, chosen, allow_weak=config.flag("allow_weak_keys"))
    except SigningError as error:
        raise BadRequest(str(error), field="algorithm" if private_key is None else "private_key") from error
    _save(REPORT_KEY, private_key)
    _save(REPORT_ALGORITHM, chosen)


def save_trigger_key(public_keys: str | None, algorithms: str) -> None:
    """Set the keys that verify triggers (None keeps them) and their algorithms; raise :class:`BadRequest`."""
    text = public_keys if public_keys is not None else variable(TRIGGER_KEY)
    try:
        chosen = parse_algorithms(algorithms)
        if text:
            keys.verifiers(text, chosen, allow_weak=config.flag("allow_weak_keys"))
    except SigningError as error:
        raise BadRequest(str(error), field="algorithms" if public_keys is None else "public_keys") from error
    _save(TRIGGER_KEY, public_keys)
    _save(TRIGGER_ALGORITHM, ",".join(chosen))


def remove_variable(key: str) -> None:
    """Remove one of the plugin's Variables, under its old name too; raise :class:`BadRequest` for any other."""
    from airflow.models.variable import Variable

    if key not in ALL:
        raise BadRequest(f"{key!r} is none of {', '.join(ALL)}.")
    for name in names_of(key):
        _require_here(_elsewhere(name))
        Variable.delete(name)


def generate_keys(algorithm: str, *, keep: bool = False) -> KeyPair:
    """Make a key pair; nothing of it is kept, or, with ``keep``, the private key signs reports from now on.

    Raises:
        BadRequest: the algorithm has no pairs.

    """
    try:
        chosen = _one_algorithm(algorithm)
        pair = keys.generate_key_pair(chosen)
    except SigningError as error:
        raise BadRequest(str(error)) from error
    if keep:
        save_report_key(pair.private, chosen)
    return pair


def _check_target(connection: Connection) -> None:
    """Raise :class:`BadRequest` if reports could not be sent to a Connection."""
    try:
        target_of(connection, lambda _name: None)
    except BadTarget as error:
        raise BadRequest(str(error), field=error.field) from error


def _form_of(value: object) -> str:
    """Return the format of reports, or what is written instead of one."""
    try:
        return format_named(value)
    except BadTarget:
        return str(value)


def _extra_of(connection: Connection) -> dict[str, object]:
    try:
        extra = json.loads(connection.extra or "{}")
    except ValueError:
        return {}
    return extra if isinstance(extra, dict) else {}


def _merged(kept: dict[str, object], extra: Mapping[str, object] | None) -> dict[str, object]:
    """Return the new extra; a value that was shown masked and comes back so is kept."""
    if extra is None:
        return kept
    return {key: kept.get(key, value) if value == MASK else value for key, value in extra.items()}


def _is_trusted(private: str, public: str | None) -> bool:
    """Whether signatures of a key will verify: where no key is set, nothing is verified."""
    trusted = variable(TRIGGER_KEY)
    if not trusted:
        return True
    if public is None or not keys.is_pem(trusted):
        return private.strip() == trusted.strip()
    return keys.fingerprint(public) in keys.fingerprints(trusted)


def variable(key: str) -> str:
    """Return an Airflow Variable, also under its old name; empty where it is not set."""
    return _found(key)[0]


def _found(key: str) -> tuple[str, str]:
    """Return a Variable, also under its old name, and where it comes from."""
    for name in names_of(key):
        try:
            value, source = find_variable(name)
        except Undecryptable as error:
            raise _SetAnew(str(error)) from error
        except BadTarget as error:
            raise Unavailable(str(error)) from error
        if value is not None:
            return str(value), source
    return "", ""


def _elsewhere(*keys: str) -> str:
    """Return where Variables come from, unless it is Airflow's database, or they are not set."""
    try:
        sources = [_found(key)[1] for key in keys]
    except _SetAnew:
        return ""
    except Unavailable:
        return UNKNOWN
    return next((source for source in sources if source not in ("", DATABASE)), "")


def _require_here(elsewhere: str) -> None:
    """Raise :class:`BadRequest` for a setting that does not come from Airflow's database: ours would not count."""
    if elsewhere:
        raise BadRequest(f"This comes from {elsewhere}: change it there.")


def _is_kept(key: str, value: str) -> bool:
    try:
        return value == variable(key)
    except _SetAnew:
        return False


def _save(key: str, value: str | None) -> None:
    from airflow.models.variable import Variable

    if value is None or _is_kept(key, value):
        return
    _require_here(_elsewhere(key))
    if value:
        Variable.set(key, value)
    else:
        Variable.delete(key)


def _key_setting(key: str, algorithm_key: str, *, is_private: bool) -> KeySetting:
    elsewhere = _elsewhere(key, algorithm_key)
    try:
        text = variable(key)
        algorithm = variable(algorithm_key) or DEFAULT
    except Unavailable as error:
        return KeySetting(key=key, is_set=True, problem=error.message, elsewhere=elsewhere)
    if not text:
        return KeySetting(key=key, is_set=False, algorithm=algorithm, elsewhere=elsewhere)
    try:
        _check(text, algorithm, is_private)
        is_secret = not keys.is_pem(text)
        public = None if is_secret else keys.public_of(text) if is_private else text.strip()
        fingerprint = None if is_secret else keys.fingerprint(text)
    except SigningError as error:
        return KeySetting(key=key, is_set=True, algorithm=algorithm, problem=str(error), elsewhere=elsewhere)
    return KeySetting(key, True, fingerprint, algorithm, public, elsewhere=elsewhere)


def _check(text: str, algorithm: str, is_private: bool) -> None:
    """Raise :class:`SigningError` if a key can't do what it is for."""
    if is_private:
        keys.signing_key(text, _one_algorithm(algorithm), allow_weak=config.flag("allow_weak_keys"))
    else:
        keys.verifiers(text, parse_algorithms(algorithm), allow_weak=config.flag("allow_weak_keys"))


def _one_algorithm(text: str) -> str:
    return parse_algorithms(text)[0]
