"""Names of the Connection and the Variables that the plugin reads from Airflow: contracts with the predecessors' users.

Some Variables have an older name, which is read where the newer one is not set.
"""

from __future__ import annotations

from collections.abc import Callable

REPORT_CONNECTION = "process_report"
"""The Connection that says where reports go to."""
REPORT_KEY = "process_report_private_key"
REPORT_ALGORITHM = "process_report_crypt_algorithm"
TRIGGER_KEY = "jwt_backend_public_key"
TRIGGER_ALGORITHM = "jwt_backend_crypt_algorithm"
SIGNING_KEY = "process_sign_private_key"
"""Signs the triggers of the trigger page."""
ALL = (REPORT_KEY, REPORT_ALGORITHM, TRIGGER_KEY, TRIGGER_ALGORITHM, SIGNING_KEY)
_OLD_NAMES = {REPORT_ALGORITHM: "process_report_algorithm", TRIGGER_ALGORITHM: "jwt_backend_algorithm"}


def names_of(name: str) -> tuple[str, ...]:
    """Return the names that a Variable is looked for under, in order."""
    return (name, _OLD_NAMES[name]) if name in _OLD_NAMES else (name,)


def look_up(name: str, variable: Callable[[str], str | None]) -> str | None:
    """Return a Variable by the first of its names under which ``variable`` finds more than an empty text, or None."""
    return next((value for value in map(variable, names_of(name)) if value), None)
