"""What the services return of the site's settings: the Connection for reports, and keys."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class ReportConnection:
    """Where reports go to. The password is never among it."""

    is_set: bool
    schema: str = "http"
    host: str = ""
    port: int | None = None
    login: str = ""
    has_password: bool = False
    endpoint: str = ""
    form: str = ""
    """The format of the reports."""
    extra: dict[str, object] = field(default_factory=dict)
    """Other fields of the Connection's extra; values that may be secret are masked."""
    source: str = ""
    """Where it comes from; empty where it is not set."""
    elsewhere: str = ""
    """The same, unless it is Airflow's database: then it can't be edited here."""


@dataclass(frozen=True)
class KeySetting:
    """A key kept in a Variable, without the key: ``problem`` says why it can't be used."""

    key: str
    is_set: bool
    fingerprint: str | None = None
    algorithm: str = ""
    public_key: str | None = None
    """The public key, which is no secret; None where there is none."""
    problem: str | None = None
    elsewhere: str = ""
    """Where the key or its algorithm comes from, unless it is Airflow's database: then it can't be edited here."""
