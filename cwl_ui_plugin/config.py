"""Typed access to the ``[cwl]`` section of Airflow's configuration.

Every option is declared once, in ``options.OPTIONS``; ``airflow config list`` shows the same list (see
``provider_info``). Values are read when they are asked for, never at import.
"""

from __future__ import annotations

import json
import math
import os
import re
import stat
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, TypeGuard

from cwl_ui_plugin import store_paths
from cwl_ui_plugin.options import OPTIONS

if TYPE_CHECKING:
    from airflow.configuration import AirflowConfigParser

SECTION = "cwl"
MEBIBYTE = 1024 * 1024
CALL_BYTES = 16 * MEBIBYTE
"""What calls may have in any case: parts of uploaded files are as large."""
_BYTES_PER_CHARACTER = 4
"""Most that UTF-8 takes."""
MIN_TOKEN = 16
"""Characters of a secret that gives access to something."""


_ORIGIN = re.compile(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?")
_BETWEEN_ROOTS = re.compile(r":(?!//)")
"""Separates folders, some of which may be addresses."""


class _Least(TypedDict, total=False):
    cores: float
    ram: float


class QueueRule(_Least):
    """Which queue steps go to that ask for so many cores, and so much memory (MiB), or more."""

    queue: str


class ConfigError(ValueError):
    """An option of ``[cwl]`` has a value that can't be used."""


def _conf() -> AirflowConfigParser:
    """Airflow's configuration, knowing this section's defaults even where no provider is discovered."""
    from airflow.configuration import conf

    return conf


def _default(name: str) -> str:
    return next(option.default for option in OPTIONS if option.name == name)


_given: dict[str, str] = {}


def give(values: dict[str, str]) -> None:
    """Take these values of options, as text, for a process that does without Airflow: it takes seconds to import."""
    _given.update(values)


def text(name: str) -> str:
    """Return an option as text."""
    if name in _given:
        return _given[name]
    return str(_conf().get(SECTION, name, fallback=_default(name)) or "")


def flag(name: str) -> bool:
    """Return a boolean option."""
    return bool(_conf().getboolean(SECTION, name, fallback=_default(name) == "True"))


def number(name: str) -> float:
    """Return a number that may not be negative; raise :class:`ConfigError` for anything else."""
    value = text(name)
    try:
        result = float(value)
    except ValueError:
        raise ConfigError(f"[{SECTION}] {name} must be a number, not {value!r}.") from None
    if result < 0:
        raise ConfigError(f"[{SECTION}] {name} must not be negative, but is {value}.")
    return result


def max_job_size() -> int:
    """Return how many characters a job may have as text."""
    characters = number("max_job_size")
    if not 1 <= characters < math.inf:
        raise ConfigError(f"[{SECTION}] max_job_size must be a number of characters above 0.")
    return int(characters)


def batch_max_rows() -> int:
    """Return how many rows a sheet may have, each of which becomes a run."""
    return _count("batch_max_rows")


def batch_max_active() -> int:
    """Return how many runs of a batch there may be at a time, where nobody says otherwise."""
    return _count("batch_max_active")


def _count(name: str) -> int:
    value = number(name)
    if not 1 <= value < math.inf:
        raise ConfigError(f"[{SECTION}] {name} must be a number above 0.")
    return int(value)


def max_call_size() -> int:
    """Return how many bytes a call that carries a job may have: job, conf and signature in it are of one job."""
    return max(CALL_BYTES, _BYTES_PER_CHARACTER * max_job_size())


def _folder(name: str, default: str) -> Path:
    value = text(name)
    if value:
        return Path(value).expanduser().resolve()
    from airflow.configuration import AIRFLOW_HOME

    return Path(AIRFLOW_HOME).resolve() / "cwl" / default


def workflows_folder() -> Path:
    """Where the store of workflows lives."""
    return _folder("workflows_folder", "workflows")


def workflows_storage() -> str:
    """Return the place by which machines share workflows; empty where all see the same ``workflows_folder``.

    ``fetching.site.workflows_root`` reads it.
    """
    return text("workflows_storage").strip()


def inputs_folder() -> Path:
    """What relative paths of a job are relative to."""
    return _folder("inputs_folder", "inputs")


def outputs_folder() -> Path:
    """Where outputs of runs go by default; a path of ``store_paths`` where that is a place of an object store."""
    return store_paths.path_of(text("outputs_folder")) or _folder("outputs_folder", "outputs")


def tmp_folder() -> Path:
    """Where intermediate files of runs are."""
    return _folder("tmp_folder", "tmp")


def intermediate_storage() -> str:
    """Return the place by which workers without common folders hand on files; empty where all see the same folders.

    ``fetching.site.intermediate_root`` reads it.
    """
    return text("intermediate_storage").strip()


def control_folder() -> Path:
    """Where processes leave each other word: leases, orders to stop, claims of folders; made if it is not there.

    No job can name it. Nobody but this user may write there; for workers and API servers of different users an
    administrator makes it beforehand, for a group.

    Raises:
        ConfigError: it can't be made, or is not a folder that only trusted users can write to.

    """
    folder = tmp_folder() / ".control"
    try:
        if not os.path.lexists(folder):
            make_private(folder)
        found, owner = folder.lstat(), folder.parent.stat().st_uid
    except OSError as error:
        raise ConfigError(f"{folder}, for what processes tell each other, can't be used: {error.strerror}.") from error
    if not stat.S_ISDIR(found.st_mode) or found.st_mode & stat.S_IWOTH:
        raise ConfigError(f"{folder} must be a folder (not a link) that not everybody can write to; remove it.")
    if found.st_uid not in (os.geteuid(), 0, owner):
        raise ConfigError(
            f"{folder} belongs to the user with the number {found.st_uid}; it must be this process's ({os.geteuid()})."
        )
    return folder


def make_private(folder: Path) -> None:
    """Make a folder, and those above it, for this user alone; what is there keeps the rights that somebody gave it."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    for path in reversed(missing):
        with suppress(FileExistsError):
            path.mkdir(mode=0o700)


def make_folders() -> None:
    """Make the folders that are not there yet; one that this user can't make is complained about where it is used."""
    for folder in (workflows_folder(), inputs_folder(), outputs_folder(), tmp_folder()):
        with suppress(OSError):
            make_private(folder)


def reuse_folder() -> Path | None:
    """Where outputs for reuse are kept, or None where reuse is switched off."""
    return kept_for_reuse() if flag("reuse") else None


def kept_for_reuse() -> Path:
    """Where outputs for reuse are, also from before reuse was switched off."""
    return _folder("reuse_folder", "reuse")


def images_folder() -> Path:
    """Where singularity keeps the images that it pulls, unless CWL_SINGULARITY_CACHE says where."""
    return tmp_folder() / ".images"


def mpi_config_file() -> Path | None:
    """The file about the site's MPI, if there is one."""
    value = text("mpi_config_file")
    return Path(value).expanduser() if value else None


def _roots(name: str) -> tuple[Path, ...]:
    parts = (part.strip() for part in _BETWEEN_ROOTS.split(text(name)) if part.strip())
    return tuple(store_paths.path_of(part) or Path(part).expanduser().resolve() for part in parts)


def stored_destinations() -> dict[str, tuple[str, ...]]:
    """Return the places of object stores that outputs may go to, as the options name them: ``{option: places}``."""
    named = {"outputs_folder": [text("outputs_folder")], "output_roots": _BETWEEN_ROOTS.split(text("output_roots"))}
    return {
        option: tuple(place.strip() for place in places if store_paths.path_of(place.strip()))
        for option, places in named.items()
    }


def uploads_folder() -> Path:
    """Where files are that users sent as inputs, a folder for each upload."""
    return inputs_folder() / "uploads"


def uploads_origin() -> str:
    """Return how addresses of the bucket for uploads begin for browsers; empty where they don't send to it.

    Raises:
        ConfigError: it is no such beginning.

    """
    origin = text("uploads_origin").strip().rstrip("/").lower()
    if origin and not _ORIGIN.fullmatch(origin):
        raise ConfigError("[cwl] uploads_origin must be https:// with the name of a host, and no path.")
    return origin


def input_roots() -> tuple[Path, ...]:
    """All folders that everybody's inputs may come from, except for :func:`closed_folders` within them."""
    return (inputs_folder(), *_roots("input_roots"))


def closed_folders() -> tuple[Path, ...]:
    """The folders with files that are not everybody's, wherever they lie: uploads, outputs, the plugin's own."""
    own = (uploads_folder(), outputs_folder(), tmp_folder(), workflows_folder(), kept_for_reuse())
    return (*own, *named_roots())


def output_roots() -> tuple[Path, ...]:
    """All folders that files of runs may be in: outputs, and intermediate files."""
    return (outputs_folder(), tmp_folder(), *named_roots())


def named_roots() -> tuple[Path, ...]:
    """What ``[cwl] output_roots`` names: jobs may name absolute paths in it, but see ``root_problems``.

    Places of object stores are paths of ``store_paths``.
    """
    return _roots("output_roots")


def root_problems() -> dict[Path, str]:
    """Return which folders of ``[cwl] output_roots`` no job may use, and why: they would let it write elsewhere."""
    others = {
        "workflows_folder": (workflows_folder(),),
        "tmp_folder": (tmp_folder(),),
        "reuse_folder": (kept_for_reuse(),),
        "inputs_folder": (inputs_folder(),),
        "input_roots": _roots("input_roots"),
    }
    problems: dict[Path, str] = {}
    for root in named_roots():
        for name, folders in others.items():
            for folder in folders:
                if root.is_relative_to(folder) or folder.is_relative_to(root):
                    problems[root] = (
                        f"[{SECTION}] output_roots and [{SECTION}] {name} overlap: no job may write to such a folder. "
                        "Name another one in output_roots."
                    )
    return problems


def metrics_token() -> str:
    """Return the secret that Prometheus sends; empty where there is none.

    Raises:
        ConfigError: it is so short that it could be guessed.

    """
    token = text("metrics_token").strip()
    if token and len(token) < MIN_TOKEN:
        raise ConfigError(f"[{SECTION}] metrics_token must have at least {MIN_TOKEN} characters; it is not accepted.")
    return token


def base_url() -> str:
    """Return the address that Airflow's users know its API server by, without a slash at the end."""
    return str(_conf().get("api", "base_url", fallback="") or "http://localhost:8080").rstrip("/")


def fetched_folder() -> Path:
    """Where inputs are that were fetched from the network, for all runs."""
    return tmp_folder() / ".fetched"


def fetch_hosts() -> str:
    """Return which hosts may be fetched from, with commas; see ``fetching.hosts``."""
    named = text("fetch_hosts").strip()
    return "*" if not named and flag("allow_network") else named


def scatter_max_tasks() -> int:
    """Most task instances that a scattered step may have."""
    return max(1, min(int(number("scatter_max_tasks")), _conf().getint("core", "max_map_length")))


def parallelism() -> int:
    """How many tasks Airflow runs at the same time."""
    return max(1, _conf().getint("core", "parallelism"))


def executors() -> tuple[str, ...]:
    """Return the names that a task may use for an executor: of all that ``[core] executor`` lists, for all teams."""
    return executors_of(str(_conf().get("core", "executor", fallback="")))


def executors_of(value: str) -> tuple[str, ...]:
    """Return the names in a value of ``[core] executor``: aliases, names of classes, and where these are."""
    found: list[str] = []
    for team in value.split(";"):
        for entry in team.rpartition("=")[2].split(","):
            alias, _colon, place = entry.strip().rpartition(":")
            found += [name for name in (alias, place.rpartition(".")[2], place) if name]
    return tuple(dict.fromkeys(found))


def slurm_max_jobs() -> int:
    """Return how many tasks the SlurmExecutor may have with Slurm at a time; 0: as many as [core] parallelism."""
    return int(number("slurm_max_jobs"))


def slurm_poll_seconds() -> tuple[float, float]:
    """Return how often Slurm is asked how jobs are: every so many seconds while something happens, and at least."""
    shortest, longest = number("slurm_poll_seconds"), number("slurm_poll_most_seconds")
    if not 0 < shortest < math.inf or not shortest <= longest < math.inf:
        raise ConfigError(
            f"[{SECTION}] slurm_poll_seconds must be above 0, and slurm_poll_most_seconds not less than that."
        )
    return shortest, longest


def default_queue() -> str:
    """Return the queue of tasks that ask for none."""
    return str(_conf().get("operators", "default_queue", fallback="default"))


def queues() -> list[QueueRule]:
    """Return the rules for queues, in their order."""
    value = text("queues")
    try:
        rules = json.loads(value) if value.strip() else []
    except ValueError as error:
        raise ConfigError(f"[{SECTION}] queues must be JSON: {error}.") from None
    if not isinstance(rules, list) or not all(_is_queue_rule(rule) for rule in rules):
        raise ConfigError(
            f'[{SECTION}] queues must be a list such as [{{"queue": "highmem", "ram": 64000}}], not {value}.'
        )
    return rules


def _is_queue_rule(rule: object) -> TypeGuard[QueueRule]:
    return (
        isinstance(rule, dict)
        and isinstance(rule.get("queue"), str)
        and all(isinstance(rule.get(name, 0), (int, float)) for name in ("cores", "ram"))
    )
