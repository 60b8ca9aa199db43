"""Why a report can't be delivered now. It waits; none is lost.

ReportError
├── BadTarget       the Connection can't be used as it is
├── NotSigned       the key can't sign
└── NotDelivered    the receiver did not take it
"""

from __future__ import annotations


class ReportError(Exception):
    """Base of this layer's errors; ``str()`` is a message for users."""


class BadTarget(ReportError):
    """The Connection ``process_report`` can't be used as it is."""


class NotSigned(ReportError):
    """The key can't sign; a report is never sent unsigned then."""


class NotDelivered(ReportError):
    """The receiver did not take it."""
