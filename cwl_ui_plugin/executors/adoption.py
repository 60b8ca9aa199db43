"""Which jobs are those of task instances whose scheduler has died: by what their submissions have left as files."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from cwl_ui_plugin.executors import spool, states
from cwl_ui_plugin.executors.jobs import Found, Job, Key, live
from cwl_ui_plugin.executors.spool import Instance

_Place = tuple[str, int, Instance]


def adopted(wanted: Mapping[str, Key], running: Collection[str], found: Found | None) -> dict[str, Job]:
    """Return the jobs of task instances, by Airflow's ids of these; of those that are missing Slurm has nothing.

    ``running`` are those that have begun: their jobs may have ended since, and then say how. ``found`` is what Slurm
    has, None where it can't be asked; all that may be there are taken over then. What a job of one that is missing
    would run is removed, in case that it comes late; other elements of its array keep theirs.
    """
    made: dict[str, Job] = {}
    missing: set[str] = set()
    places = _places(wanted)
    for name, key in wanted.items():
        jobs = [_job(place, key, found) for place in places.get(name, ())]
        there = [job for job, is_there in jobs if is_there or found is None or name in running]
        if there:
            made[name] = max(there, key=lambda job: bool(job.number) and not job.phase.has_ended)
            continue
        for submission, index, _instance in places.get(name, ()):
            spool.forget_workload(submission, index)
            missing.add(submission)
    for submission in missing - live(found or {}) - {job.submission for job in made.values()}:
        spool.forget(submission)
    return made


def _job(place: _Place, key: Key, found: Found | None) -> tuple[Job, bool]:
    submission, index, instance = place
    job = Job(key, instance, submission, index, "")
    line = (found or {}).get((submission, index))
    if line is not None:
        job.take(line)
    return job, line is not None and not states.phase_of(line.state).has_ended


def _places(wanted: Collection[str]) -> dict[str, list[_Place]]:
    """Return where task instances are in submissions that have a folder; one may be in several."""
    places: dict[str, list[_Place]] = {}
    for name in spool.known():
        made = spool.read(name)
        for index, instance in enumerate(made.instances if made else ()):
            if instance.id in wanted:
                places.setdefault(instance.id, []).append((name, index, instance))
    return places
