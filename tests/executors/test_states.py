"""Slurm's words for states and reasons, as 22.05 prints them."""

from __future__ import annotations

import pytest

from cwl_ui_plugin.executors import states
from cwl_ui_plugin.executors.states import Phase


@pytest.mark.parametrize(
    ("word", "phase"),
    [
        ("PENDING", Phase.WAITS),
        ("REQUEUE_HOLD", Phase.WAITS),
        ("RUNNING", Phase.RUNS),
        ("SUSPENDED", Phase.RUNS),
        ("COMPLETING", Phase.ENDING),
        ("COMPLETED", Phase.SUCCEEDED),
        ("OUT_OF_MEMORY", Phase.FAILED),
        ("TIMEOUT", Phase.FAILED),
        ("NODE_FAIL", Phase.FAILED),
        ("PREEMPTED", Phase.FAILED),
        ("CANCELLED by 1000", Phase.FAILED),
        ("CANCELLED+", Phase.FAILED),
        ("A_WORD_OF_A_LATER_VERSION", Phase.RUNS),
    ],
)
def test_phases(word: str, phase: Phase) -> None:
    assert states.phase_of(word) is phase
    assert phase.has_ended == (phase in (Phase.SUCCEEDED, Phase.FAILED))


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("OUT_OF_MEMORY", "as OUT_OF_MEMORY: it used more memory than it had asked for. Raise ramMin"),
        ("TIMEOUT", "as TIMEOUT: its time limit is over"),
        ("NODE_FAIL", "as NODE_FAIL: its node has failed"),
        ("PREEMPTED", "as PREEMPTED: jobs with a higher priority"),
        ("CANCELLED by 1000", "as CANCELLED: somebody has cancelled it"),
    ],
)
def test_ends_are_told_in_words(word: str, told: str) -> None:
    assert states.end_in_words("12_3", word, "n1").startswith(f"Slurm has ended job 12_3 on n1 {told}")


@pytest.mark.parametrize(
    ("reason", "told", "can_begin"),
    [
        ("Priority", "waits for the partition p: Priority (jobs with a higher priority go first)", True),
        ("Resources", "waits for the partition p: Resources (the cores, memory or devices", True),
        ("None", "waits for the partition p: None (Slurm's scheduler is about to", True),
        ("ReqNodeNotAvail, UnavailableNodes:n[1-2]", "ReqNodeNotAvail, UnavailableNodes:n[1-2] (nodes that", True),
        ("AWordOfALaterVersion", "waits for the partition p: AWordOfALaterVersion", True),
        ("PartitionTimeLimit", "(the partition does not allow so long a time limit)", False),
        ("BadConstraints", "(no node has what it asks for)", False),
    ],
)
def test_reasons_are_told_in_words(reason: str, told: str, can_begin: bool) -> None:
    assert told in states.reason_in_words("12", reason, "p")
    assert states.can_begin(reason) is can_begin
