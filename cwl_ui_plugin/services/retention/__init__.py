"""Retention: what grows, how long it is kept, and removing it. What a run in Airflow's list refers to stays.

``kinds.py`` is the table of all that grows; each kind has a module that says what may go, and removes it. All of them
remove in the same way: what is unused for long enough is moved away within a lock that those who use it take, too
(``last_use``), and removed then. So a second cleaner, or a run that starts just now, makes no difference, and what is
broken off goes on in the next round.
"""

from __future__ import annotations

from cwl_ui_plugin.services.retention.cleaning import Removable, RetentionRound, clean, removable
from cwl_ui_plugin.services.retention.sizes import Retention, measure_in_background, retention

__all__ = [
    "Removable",
    "Retention",
    "RetentionRound",
    "clean",
    "measure_in_background",
    "removable",
    "retention",
]
