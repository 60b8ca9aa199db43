"""What can go wrong between the store and Airflow.

DagsError
├── RegistrationError   a stored workflow can't be made a Dag
├── DagFileError        a Dag file asks for what can't be
├── LeasedError         processes of a task could not be ended
└── LostValueError      what a task has handed on can't be read any more
"""

from __future__ import annotations


class DagsError(Exception):
    """Base of this layer's errors; ``str()`` is a message for users."""


class RegistrationError(DagsError):
    """A stored workflow can't be made a Dag."""


class DagFileError(DagsError):
    """A Dag file asks for what can't be; Airflow shows the message as an import error."""


class LeasedError(DagsError):
    """Processes of a task outlived every signal."""


class LostValueError(DagsError, ValueError):
    """What a task has handed on can't be read any more."""
