"""What a task asks of Slurm, from its ``executor_config["slurm"]``, and the options of ``sbatch`` for it."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cwl_ui_plugin.executors.errors import NeedsError

KEY = "slurm"
"""Key in a task's ``executor_config``."""
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,99}(,[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,99}){0,9}")
_CONSTRAINT = re.compile(r"[A-Za-z0-9_\[(][A-Za-z0-9_.+\-,&|*:()\[\]]{0,199}")
_MOST = 10**9


@dataclass(frozen=True)
class Needs:
    """What a job asks for: ``ram`` in mebibytes, ``seconds`` of its time limit; None and "" ask for nothing."""

    cpus: int = 1
    ram: int | None = None
    seconds: int | None = None
    gpus: int = 0
    partition: str = ""
    account: str = ""
    qos: str = ""
    constraint: str = ""

    def arguments(self) -> list[str]:
        """Return options of ``sbatch``."""
        return list(self._arguments())

    def _arguments(self) -> Iterator[str]:
        yield f"--cpus-per-task={self.cpus}"
        if self.ram is not None:
            yield f"--mem={self.ram}M"
        if self.seconds is not None:
            yield f"--time={max(1, math.ceil(self.seconds / 60))}"
        if self.gpus:
            yield f"--gres=gpu:{self.gpus}"
        for name in ("partition", "account", "qos", "constraint"):
            if value := getattr(self, name):
                yield f"--{name}={value}"


def needs_of(executor_config: object) -> Needs:
    """Read what a task asks for; raise :class:`NeedsError` with the key, what it has, and what may stand there."""
    asked = executor_config.get(KEY) if isinstance(executor_config, Mapping) else None
    if asked is None:
        return Needs()
    if not isinstance(asked, Mapping):
        raise NeedsError(f'executor_config["{KEY}"] must be an object with {", ".join(_READERS)}.')
    made: dict[str, Any] = {}
    for name, value in asked.items():
        if name not in _READERS:
            raise NeedsError(f'executor_config["{KEY}"]: {name!r} is not known; known are {", ".join(_READERS)}.')
        if value is not None:
            made[name] = _READERS[name](name, value)
    return Needs(**made)


def _count(name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= _MOST:
        raise NeedsError(f'executor_config["{KEY}"]: {name} must be a number from 0 to {_MOST}, not {value!r}.')
    return math.ceil(value)


def _at_least_one(name: str, value: object) -> int:
    return max(1, _count(name, value))


def _name(name: str, value: object) -> str:
    return _matching(_NAME, name, value)


def _constraint(name: str, value: object) -> str:
    return _matching(_CONSTRAINT, name, value)


def _matching(pattern: re.Pattern[str], name: str, value: object) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise NeedsError(f'executor_config["{KEY}"]: {name} must be a name as Slurm has it, not {value!r}.')
    return value


_READERS: dict[str, Callable[[str, object], Any]] = {
    "cpus": _at_least_one,
    "ram": _count,
    "seconds": _at_least_one,
    "gpus": _count,
    "partition": _name,
    "account": _name,
    "qos": _name,
    "constraint": _constraint,
}
