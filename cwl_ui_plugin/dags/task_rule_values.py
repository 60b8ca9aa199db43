"""What may stand in a rule of ``[cwl] task_rules``: conditions and settings, each with how its value is read."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

MAX_SECONDS = 366 * 24 * 3600
MAX_WEIGHT = 2**31 - 1
"""Airflow's column is an integer of 32 bits."""
MAX_COUNT = 1_000_000
WEIGHT_RULES = ("downstream", "upstream", "absolute")
_SLURM_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,99}(,[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,99}){0,9}")
_SLURM_CONSTRAINT = re.compile(r"[A-Za-z0-9_\[(][A-Za-z0-9_.+\-,&|*:()\[\]]{0,199}")
_USER = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}\$?")
_Reader = Callable[[object], object]


class RuleValueError(ValueError):
    """A value can't stand there; the message is what can."""


def _patterns(value: object) -> tuple[str, ...]:
    """Names with * for anything; one, or a list of which one has to fit."""
    found = value if isinstance(value, list) else [value]
    if not found or not all(isinstance(one, str) and one for one in found):
        raise RuleValueError("a name, with * for anything, or a list of names")
    return tuple(found)


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < math.inf:
        raise RuleValueError("a number that is not negative")
    return float(value)


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise RuleValueError("true or false")
    return value


def _name(value: object) -> str:
    if not isinstance(value, str) or not value.strip() or len(value) > 250:
        raise RuleValueError("a name")
    return value.strip()


def _user(value: object) -> str:
    if not isinstance(value, str) or not _USER.fullmatch(value):
        raise RuleValueError("the name of a user of the workers' system")
    return value


def _of_slurm(pattern: re.Pattern[str]) -> _Reader:
    def read(value: object) -> str:
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise RuleValueError("a name as Slurm has it")
        return value

    return read


def _whole(least: int, most: int) -> _Reader:
    def read(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise RuleValueError(f"a whole number from {least} to {most}")
        return value

    return read


def _weight_rule(value: object) -> str:
    if value not in WEIGHT_RULES:
        raise RuleValueError(f"one of {', '.join(WEIGHT_RULES)}")
    return str(value)


def _seconds(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= MAX_SECONDS:
        raise RuleValueError(f"a number of seconds above 0, at most {MAX_SECONDS}")
    return float(value)


CONDITIONS: dict[str, _Reader] = {
    "dag_id": _patterns,
    "tag": _patterns,
    "step": _patterns,
    "tool": _patterns,
    "container": _patterns,
    "profile": _patterns,
    "user": _patterns,
    "cores": _number,
    "ram": _number,
    "gpus": _number,
    "network": _flag,
    "scatter": _flag,
}
SETTINGS: dict[str, _Reader] = {
    "executor": _name,
    "queue": _name,
    "pool": _name,
    "priority_weight": _whole(-MAX_WEIGHT, MAX_WEIGHT),
    "weight_rule": _weight_rule,
    "execution_timeout": _seconds,
    "time_limit_headroom": _seconds,
    "run_as_user": _user,
    "retries": _whole(0, 1000),
    "slurm_partition": _of_slurm(_SLURM_NAME),
    "slurm_account": _of_slurm(_SLURM_NAME),
    "slurm_qos": _of_slurm(_SLURM_NAME),
    "slurm_constraint": _of_slurm(_SLURM_CONSTRAINT),
    "slurm_time": _seconds,
    "max_active_runs": _whole(1, MAX_COUNT),
    "max_active_tasks": _whole(1, MAX_COUNT),
}
OF_DAGS = ("dag_id", "tag")
"""Conditions about the Dag."""
OF_RUNS = ("max_active_runs", "max_active_tasks")
"""Settings of the Dag itself."""
