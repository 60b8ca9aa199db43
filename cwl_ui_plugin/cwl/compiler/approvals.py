"""Hints ``cwl-ui:Approval``: read where they mean something, refused where somebody would rely on them in vain."""

from __future__ import annotations

import math
from pathlib import Path

from cwltool.process import Process, shortname
from cwltool.utils import aslist

from cwl_ui_plugin.cwl.engine.problems import problem_at
from cwl_ui_plugin.cwl.errors import DocumentError, Problem
from cwl_ui_plugin.cwl.hints import APPROVAL, is_hint
from cwl_ui_plugin.cwl.plan import Approval, CwlObject, Plan

MAX_MESSAGE = 10_000
MAX_ASSIGNEES = 100
MAX_SECONDS = 366 * 24 * 3600
ANSWERS = ("approve", "reject")
_FIELDS = ("class", "message", "assignees", "timeout", "on_timeout")


def approval_of(step: CwlObject) -> Approval | None:
    """Return what the hints of a step say themselves; None if they ask nobody.

    Raises:
        DocumentError: a hint that can't be followed.

    """
    asked = _hints(step)
    if not asked:
        return None
    name, hint = shortname(step["id"]), asked[0]
    for wrong, words in _mistakes(hint, len(asked)):
        if wrong:
            raise DocumentError(f"Step {name}: cwl-ui:Approval {words}.")
    timeout = hint.get("timeout")
    return Approval(
        message=str(hint.get("message", "")).strip(),
        assignees=tuple(str(user) for user in aslist(hint.get("assignees") or [])),
        timeout=None if timeout is None else float(timeout),
        on_timeout=str(hint.get("on_timeout", "reject")),
    )


def _mistakes(hint: dict[str, object], count: int) -> list[tuple[bool, str]]:
    unknown = [name for name in hint if name not in _FIELDS]
    users = aslist(hint.get("assignees") or [])
    timeout = hint.get("timeout", 1)
    return [
        (count > 1, "stands there twice; once is enough"),
        (bool(unknown), f"has no field {', '.join(map(repr, unknown))}; it has {', '.join(_FIELDS[1:])}"),
        (not _is_text(hint.get("message", "")), f"takes a message of at most {MAX_MESSAGE} characters"),
        (
            len(users) > MAX_ASSIGNEES or not all(_is_user(user) for user in users),
            f"takes assignees as a list of at most {MAX_ASSIGNEES} ids of Airflow's users",
        ),
        (not _is_time(timeout), f"takes a timeout in seconds above 0, at most {MAX_SECONDS}"),
        (hint.get("on_timeout", "reject") not in ANSWERS, f"takes {' or '.join(ANSWERS)} as on_timeout"),
        ("on_timeout" in hint and "timeout" not in hint, "has on_timeout, but no timeout"),
    ]


def _is_text(value: object) -> bool:
    return isinstance(value, str) and len(value) <= MAX_MESSAGE


def _is_user(value: object) -> bool:
    return isinstance(value, (str, int)) and not isinstance(value, bool) and 0 < len(str(value).strip()) <= 250


def _is_time(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return math.isfinite(value) and 0 < value <= MAX_SECONDS


def refuse_lost_approvals(process: Process, plan: Plan, source: Path) -> None:
    """Raise :class:`DocumentError` for hints that would ask nobody: not on a step, or on one that is no task."""
    asking = {step.full_id for _depth, step in plan.all_steps() if step.approval}
    problems: list[Problem] = []

    def look(tool: CwlObject) -> None:
        _refuse(tool, "belongs in the hints of a step", problems, source)
        for step in tool.get("steps") or ():
            if step["id"] not in asking:
                words = "can't be followed: its step runs within another task (a scattered subworkflow, or a loop)"
                _refuse(step, words, problems, source)

    process.visit(look)
    if problems:
        raise DocumentError(
            "An approval that the document asks for would not be asked for.", tuple(dict.fromkeys(problems))
        )


def _refuse(part: CwlObject, words: str, problems: list[Problem], source: Path) -> None:
    if _hints(part):
        problems.append(problem_at(f"cwl-ui:Approval {words}", part, source))


def _hints(part: CwlObject) -> list[CwlObject]:
    return [hint for hint in aslist(part.get("hints") or []) if is_hint(hint, APPROVAL)]
