"""What pages and stops are told of the jobs of runs, as files that all machines see."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from functools import partial

from cwl_ui_plugin import config
from cwl_ui_plugin.dags import slurm_jobs
from cwl_ui_plugin.dags.slurm_jobs import JobState, RunJobs, TaskWait
from cwl_ui_plugin.executors import states
from cwl_ui_plugin.executors.jobs import Item, Job, Run, run_of
from cwl_ui_plugin.executors.states import Phase

log = logging.getLogger(__name__)


class Told:
    """What was told last; files are written where that changes."""

    def __init__(self) -> None:
        self._last: dict[Run, RunJobs] = {}

    def tell(self, jobs: Iterable[Job], waiting: Iterable[Item], problem: str) -> None:
        """Say how the jobs of each run are; ``problem`` is why nothing is submitted now, if that is so."""
        now = dict(_by_run(jobs, waiting, problem))
        for run, told in now.items():
            if self._last.get(run) != told:
                _safely(partial(slurm_jobs.write, told))
        for run in self._last.keys() - now.keys():
            _safely(partial(slurm_jobs.forget, *run))
        self._last = now


def _by_run(jobs: Iterable[Job], waiting: Iterable[Item], problem: str) -> Iterator[tuple[Run, RunJobs]]:
    runs: dict[Run, tuple[dict[str, str], list[JobState]]] = {}
    for job in jobs:
        waits, begun = runs.setdefault(run_of(job.instance), ({}, []))
        if job.phase is Phase.WAITS:
            text = states.reason_in_words(job.name, job.reason, job.partition) if job.reason else ""
            waits.setdefault(job.instance.task_id, text or f"Slurm has it as job {job.name}")
        else:
            begun.append(JobState(job.number, job.state))
    for item in waiting:
        waits, _ = runs.setdefault(run_of(item.instance), ({}, []))
        waits.setdefault(item.instance.task_id, problem or "It is about to be submitted to Slurm")
    for run, (waits, begun) in runs.items():
        yield run, RunJobs(*run, tuple(TaskWait(*wait) for wait in sorted(waits.items())), tuple(begun))


def _safely(act: Callable[[], object]) -> None:
    try:
        act()
    except (OSError, config.ConfigError) as error:
        log.warning("How the jobs of a run are can't be told: %s", error)
