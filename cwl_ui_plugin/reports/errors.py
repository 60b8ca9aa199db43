"""Why a report can't be delivered now. It waits; none is lost.

ReportError
├── BadTarget       the Connection can't be used as it is
│   └── Undecryptable   a Variable is there, and Airflow can't decrypt it
├── NotSigned       the key can't sign
└── NotDelivered    the receiver did not take it
    └── Unreachable     it would not take any other, either
"""

from __future__ import annotations


class ReportError(Exception):
    """Base of this layer's errors; ``str()`` is a message for users."""


class BadTarget(ReportError):
    """The Connection ``process_report`` can't be used as it is; ``field`` is the wrong one."""

    def __init__(self, message: str, field: str = "extra") -> None:
        super().__init__(message)
        self.field = field


class Undecryptable(BadTarget):
    """A Variable of Airflow's database that was stored with another Fernet key: it may be set anew."""


class NotSigned(ReportError):
    """The key can't sign; a report is never sent unsigned then."""


class NotDelivered(ReportError):
    """The receiver did not take it; ``status`` is its HTTP status, None where there was no answer."""

    def __init__(
        self, message: str, status: int | None = None, retry_after: float | None = None, answer: str = ""
    ) -> None:
        super().__init__(message)
        self.status = status
        self.answer = answer
        """What the receiver says: not for everybody, it may be somebody else's server."""
        self.retry_after = retry_after
        """Seconds after which the receiver wants to be asked again, if it says so."""


class Unreachable(NotDelivered):
    """Nobody answers, or says that it can't answer anybody now: other reports need not be tried."""
