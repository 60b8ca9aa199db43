"""Rules of the site for its tasks (``[cwl] task_rules``): which go to which executor, queue or pool, and how they run.

A rule has conditions (``when``) and says what follows (``set``); for each thing that can be set the first rule counts
whose conditions all hold. Without Airflow, so that ``init`` can check them, too.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Any

from cwl_ui_plugin import config
from cwl_ui_plugin.dags.task_rule_values import CONDITIONS, OF_DAGS, OF_RUNS, SETTINGS, RuleValueError

OPTION = "task_rules"
_KEYS = ("when", "set")
_Settings = dict[str, object]


@dataclass(frozen=True)
class Facts:
    """What is known of a task. ``step`` is empty for tasks that help: then only rules about the Dag count.

    ``user`` is who has started the run; empty where that is not known yet.
    """

    dag_id: str
    tags: tuple[str, ...] = ()
    step: str = ""
    tool: str = ""
    container: str = ""
    cores: float = 0
    ram: float = 0
    gpus: float = 0
    network: bool = False
    scatter: bool = False
    profile: str = ""
    user: str = ""


@dataclass(frozen=True)
class TaskRule:
    """One rule: conditions and settings, as checked by :func:`read_rules`."""

    when: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_about_dags(self) -> bool:
        """Whether it asks about nothing but the Dag, so that it holds for each task of it."""
        return all(name in OF_DAGS for name in self.when)

    def holds(self, facts: Facts) -> bool:
        """Whether all its conditions hold."""
        if not facts.step and not self.is_about_dags:
            return False
        return all(_TESTS[name](facts, wanted) for name, wanted in self.when.items())


def _pattern(fact: str) -> Callable[[Facts, Any], bool]:
    return lambda facts, wanted: any(fnmatchcase(getattr(facts, fact), one) for one in wanted)


def _least(fact: str) -> Callable[[Facts, object], bool]:
    return lambda facts, wanted: bool(getattr(facts, fact) >= wanted)


def _same(fact: str) -> Callable[[Facts, object], bool]:
    return lambda facts, wanted: bool(getattr(facts, fact) == wanted)


_TESTS: dict[str, Callable[[Facts, Any], bool]] = {
    "dag_id": _pattern("dag_id"),
    "tag": lambda facts, wanted: any(fnmatchcase(tag, one) for tag in facts.tags for one in wanted),
    "step": _pattern("step"),
    "tool": _pattern("tool"),
    "container": _pattern("container"),
    "profile": _pattern("profile"),
    "user": _pattern("user"),
    "cores": _least("cores"),
    "ram": _least("ram"),
    "gpus": _least("gpus"),
    "network": _same("network"),
    "scatter": _same("scatter"),
}


def settings_for(rules: Iterable[TaskRule], facts: Facts) -> _Settings:
    """Return what the rules set for a task: for each thing the first rule that holds."""
    found: _Settings = {}
    for rule in rules:
        if rule.holds(facts):
            for name, value in rule.settings.items():
                found.setdefault(name, value)
    return found


def configured_rules() -> tuple[TaskRule, ...]:
    """Return the rules of this site; raise :class:`ConfigError`."""
    return read_rules(config.text(OPTION), config.executors())


def read_rules(text: str, executors: Collection[str]) -> tuple[TaskRule, ...]:
    """Read ``[cwl] task_rules``. ``executors`` are the names that a rule may use.

    Raises:
        ConfigError: what is wrong, in which rule, and what may stand there.

    """
    if not text.strip():
        return ()
    try:
        found = json.loads(text)
    except ValueError as error:
        raise config.ConfigError(f"[cwl] {OPTION} must be JSON: {error}.") from None
    if not isinstance(found, list):
        raise config.ConfigError(
            f'[cwl] {OPTION} must be a list such as [{{"when": {{"cores": 16}}, "set": {{"queue": "large"}}}}].'
        )
    return tuple(_read_rule(rule, number, executors) for number, rule in enumerate(found, 1))


def _read_rule(rule: object, number: int, executors: Collection[str]) -> TaskRule:
    place = f"[cwl] {OPTION}, rule {number}"
    if not isinstance(rule, dict) or not isinstance(rule.get("set"), dict) or not rule["set"]:
        raise config.ConfigError(f'{place}: a rule is {{"when": {{...}}, "set": {{...}}}}, with something to set.')
    _refuse_unknown(rule, _KEYS, place)
    when = rule.get("when", {})
    if not isinstance(when, dict):
        raise config.ConfigError(f'{place}: "when" must be an object of conditions.')
    made = TaskRule(_checked(when, CONDITIONS, f'{place}, "when"'), _checked(rule["set"], SETTINGS, f'{place}, "set"'))
    of_runs = [name for name in made.settings if name in OF_RUNS]
    if of_runs and not made.is_about_dags:
        asked = " and ".join(OF_DAGS)
        raise config.ConfigError(
            f"{place}: {of_runs[0]} is for all of a Dag; give it in a rule that asks for {asked} only."
        )
    executor = made.settings.get("executor")
    if executor is not None and executor not in executors:
        raise config.ConfigError(
            f"{place}: the executor {executor!r} is none of those of [core] executor: {', '.join(executors)}."
        )
    return made


def _checked(
    given: Mapping[str, object], known: Mapping[str, Callable[[object], object]], place: str
) -> dict[str, object]:
    _refuse_unknown(given, known, place)
    made = {}
    for name, value in given.items():
        try:
            made[name] = known[name](value)
        except RuleValueError as error:
            raise config.ConfigError(f"{place}: {name} must be {error}, not {json.dumps(value)}.") from None
    return made


def _refuse_unknown(given: Iterable[str], known: Collection[str], place: str) -> None:
    for name in given:
        if name not in known:
            close = get_close_matches(name, known, 1)
            meant = f" Did you mean {close[0]!r}?" if close else ""
            raise config.ConfigError(f"{place}: {name!r} is not known; known are {', '.join(known)}.{meant}")


def ask_for_users(rules: Iterable[TaskRule]) -> bool:
    """Whether any rule depends on who has started a run."""
    return any("user" in rule.when for rule in rules)


def pools_named(rules: Iterable[TaskRule]) -> list[str]:
    """Return the pools that rules name, each once."""
    return list(dict.fromkeys(rule.settings["pool"] for rule in rules if "pool" in rule.settings))
