"""What can go wrong between the store and Airflow.

DagsError
├── RegistrationError   a stored workflow can't be made a Dag
└── LeasedError         processes of a task could not be ended
"""

from __future__ import annotations


class DagsError(Exception):
    """Base of this layer's errors; ``str()`` is a message for users."""


class RegistrationError(DagsError):
    """A stored workflow can't be made a Dag."""


class LeasedError(DagsError):
    """Processes of a task outlived every signal."""
