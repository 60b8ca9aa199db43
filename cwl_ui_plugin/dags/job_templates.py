"""The job of a schedule is a template: ``{{ ds }}`` in its texts is filled in for each run.

Texts are Jinja with the names that Airflow's own templates have. Who saves a schedule is not trusted with more than a
job: no statements, no code, no names of files; and whatever is written, filling it in takes no long time and little
memory. A text that is one expression only gives the expression's value, so that ``{{ run_after.day }}`` is a number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, datetime, time, timedelta
from functools import cache, wraps
from typing import TYPE_CHECKING, Protocol, TypeGuard

from cwl_ui_plugin.cwl.errors import Problem

if TYPE_CHECKING:
    from jinja2.runtime import Context
    from jinja2.sandbox import SandboxedEnvironment

MAX_TEMPLATE = 4096
"""Characters of one text of a job that is a template."""
MAX_VALUE = 16384
"""Characters, or items, of a value on the way, so that no text can grow to the machine's memory."""
MAX_TEMPLATES = 1000
MAX_DIGITS = 100
"""Of what numbers are rounded to."""
MAX_DEPTH = 64
_SIGNS = ("{{", "{%")
_FILTERS = (
    *("abs", "capitalize", "count", "d", "default", "first", "float", "int", "last", "length", "list"),
    *("lower", "max", "min", "sort", "string", "sum", "title", "trim", "unique"),
    "upper",
)
"""None that calls others by name. Those that make a text as long as they are told are our own: `_own_filters`."""
_TEXT_METHODS = (
    *("capitalize", "casefold", "count", "endswith", "find", "isdigit", "lower", "lstrip", "partition"),
    *("removeprefix", "removesuffix", "rpartition", "rsplit", "rstrip", "split", "startswith", "strip", "title"),
    "upper",
)
_DATE_METHODS = (
    *("add", "astimezone", "date", "end_of", "first_of", "format", "in_timezone", "in_tz", "isocalendar"),
    *("isoformat", "isoweekday", "last_of", "next", "previous", "replace", "start_of", "strftime", "subtract"),
    *("time", "timestamp", "to_date_string", "to_datetime_string", "to_iso8601_string", "to_time_string", "weekday"),
)
_STEPPING = ("next", "previous")
"""Methods of dates that go on day by day until there is one that fits."""
_METHODS: dict[type, tuple[str, ...]] = {
    str: _TEXT_METHODS,
    date: _DATE_METHODS,
    timedelta: ("total_seconds", "total_days", "total_hours", "total_minutes"),
    dict: ("get", "items", "keys", "values"),
    list: ("count", "index"),
    tuple: ("count", "index"),
}


class NamedRun(Protocol):
    """A run, as its tasks have it; its times are looked for, too."""

    @property
    def dag_id(self) -> str:
        """Its Dag."""

    @property
    def run_id(self) -> str:
        """Its id."""


class TemplateError(Exception):
    """Templates of a job that can't be filled in; one Problem for each, whose ``input`` says where it is."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("; ".join(map(str, problems)))
        self.problems = problems


def rendered(job: Mapping[str, object], values: Mapping[str, object]) -> dict[str, object]:
    """Return a job with all of its templates filled in; raise :class:`TemplateError`."""
    problems: list[Problem] = []
    count = 0

    def fill(node: object, place: str, depth: int) -> object:
        nonlocal count
        if depth > MAX_DEPTH:
            problems.append(Problem(f"It is nested more than {MAX_DEPTH} deep.", input=place[:200]))
        elif isinstance(node, dict):
            return {key: fill(value, f"{place}.{key}" if place else str(key), depth + 1) for key, value in node.items()}
        elif isinstance(node, list):
            return [fill(item, f"{place}[{number}]", depth + 1) for number, item in enumerate(node)]
        elif is_template(node):
            count += 1
            if count > MAX_TEMPLATES:
                return node
            try:
                return _filled(node, values)
            except _Refused as error:
                problems.append(Problem(f"The template {_short(node)} can't be filled in: {error}", input=place))
        return node

    result = fill(dict(job), "", 0)
    if count > MAX_TEMPLATES:
        problems.append(Problem(f"The job has {count} templates; {MAX_TEMPLATES} are allowed."))
    if problems:
        raise TemplateError(tuple(problems))
    return result if isinstance(result, dict) else {}


def is_template(node: object) -> TypeGuard[str]:
    """Whether a value of a job is filled in for each run."""
    return isinstance(node, str) and any(sign in node for sign in _SIGNS)


def templates_in(job: object) -> Iterator[str]:
    """Yield the texts of a job that are templates."""
    if isinstance(job, Mapping):
        for value in job.values():
            yield from templates_in(value)
    elif isinstance(job, list):
        for item in job:
            yield from templates_in(item)
    elif is_template(job):
        yield job


def before_templates(job: object) -> object:
    """Return a job whose texts end where what is filled in begins: of a path, the folder that it is in for any date."""
    if isinstance(job, Mapping):
        return {key: before_templates(value) for key, value in job.items()}
    if isinstance(job, list):
        return [before_templates(item) for item in job]
    if is_template(job):
        known = min(job.find(sign) % (len(job) + 1) for sign in _SIGNS)
        return job[:known].rpartition("/")[0]
    return job


def literal(job: object) -> object:
    """Return a job whose texts are taken as they are, as that of a run is: none of them is a template."""
    if isinstance(job, dict):
        return {key: literal(value) for key, value in job.items()}
    if isinstance(job, list):
        return [literal(item) for item in job]
    if is_template(job):
        return job.replace("{", "{{ '{' }}")
    return job


def values_of(run: NamedRun) -> dict[str, object]:
    """Return what the templates of a run may name; ``run`` is Airflow's, as its tasks have it."""
    from airflow.sdk.timezone import coerce_datetime

    names = ("logical_date", "data_interval_start", "data_interval_end", "run_after")
    times = {name: coerce_datetime(getattr(run, name, None)) for name in names}
    known = {name: value for name, value in times.items() if value is not None}
    return {"run_id": run.run_id, "dag_id": run.dag_id, **known, **_dates(known.get("logical_date"))}


def _dates(at: datetime | None) -> dict[str, str]:
    """Return the texts that Airflow makes of a logical date; a run that is not of a date has none."""
    if at is None:
        return {}
    ds, ts = at.strftime("%Y-%m-%d"), at.isoformat()
    return {
        "ds": ds,
        "ds_nodash": ds.replace("-", ""),
        "ts": ts,
        "ts_nodash": at.strftime("%Y%m%dT%H%M%S"),
        "ts_nodash_with_tz": ts.replace("-", "").replace(":", ""),
    }


class _Refused(Exception):
    """A template does more than it may, or is not one."""


def _filled(text: str, values: Mapping[str, object]) -> object:
    from jinja2.exceptions import SecurityError, TemplateSyntaxError, UndefinedError

    if len(text) > MAX_TEMPLATE:
        raise _Refused(f"it has more than {MAX_TEMPLATE} characters.")
    try:
        return _evaluated(text, values)
    except _Refused:
        raise
    except TemplateSyntaxError as error:
        raise _Refused(f"{error.message} (line {error.lineno}).") from error
    except UndefinedError as error:
        raise _Refused(f"{error.message}; there are {', '.join(sorted(values))}.") from error
    except SecurityError as error:
        raise _Refused(str(error)) from error
    except RecursionError:
        raise _Refused("it is nested too deeply.") from None
    except Exception as error:  # whatever its expressions raise
        raise _Refused(f"{type(error).__name__}: {str(error)[:300]}") from error


def _evaluated(text: str, values: Mapping[str, object]) -> object:
    """Return the value of a text that is one expression, else its text with the values of its expressions in it."""
    from jinja2 import nodes

    environment = _environment()
    tree = environment.parse(text)
    for node in tree.iter_child_nodes():
        if not isinstance(node, nodes.Output):
            raise _Refused("only {{ expressions }} are allowed, no statements.")
    parts = [part for node in tree.body for part in node.nodes]  # type: ignore[attr-defined]
    if len(parts) == 1 and not isinstance(parts[0], nodes.TemplateData):
        compiled = environment.compile_expression(_inside(text), undefined_to_none=False)
        return plain(compiled(values))
    return str(_bounded(environment.from_string(text).render(values)))


def _inside(text: str) -> str:
    """Return the expression of a text that is nothing else."""
    return text.strip().removeprefix("{{").removesuffix("}}").strip("+-").strip()


def plain(value: object) -> object:
    """Return a value as JSON has it: dates as text of ISO 8601."""
    from jinja2 import Undefined
    from jinja2.exceptions import UndefinedError

    if isinstance(value, Undefined):
        raise UndefinedError(value._undefined_message)
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, str):
        return str(_bounded(value))  # not Markup
    if value is None or isinstance(value, bool) or _is_number(value):
        return _bounded(value)
    raise _Refused(f"it is a {type(value).__name__}, which no input can be.")


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float))


def _bounded(value: object) -> object:
    """Return a value that is not too large."""
    if isinstance(value, (str, bytes, list, tuple, Mapping)):
        _check_length(len(value))
    if isinstance(value, int) and abs(value) >= 10**MAX_DEPTH:
        raise _Refused("it becomes a number of too many digits.")
    return value


def _check_length(length: int) -> None:
    if length > MAX_VALUE:
        raise _Refused(f"it becomes longer than {MAX_VALUE} characters.")


def _bounding(function: Callable[..., object]) -> Callable[..., object]:
    @wraps(function)  # with Jinja's mark of what it is given besides
    def bounded(*arguments: object, **named: object) -> object:
        result = function(*arguments, **named)
        if isinstance(result, Iterator):
            result = list(result)
        return _bounded(result)

    return bounded


@cache
def _environment() -> SandboxedEnvironment:
    """Return Jinja with nothing in it but what is harmless."""
    from jinja2 import StrictUndefined
    from jinja2.exceptions import SecurityError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Environment(ImmutableSandboxedEnvironment):
        intercepted_binops = frozenset({"*", "**", "%", "+", "//", "/", "-"})

        def call_binop(self, context: Context, operator: str, left: object, right: object) -> object:
            if operator == "**" or (operator in ("*", "%") and not (_is_number(left) and _is_number(right))):
                raise SecurityError(f"{operator!r} is for numbers only here, and '**' for nothing.")
            return _bounded(_uncounted(super().call_binop(context, operator, left, right)))

        def wrap_str_format(self, value: object) -> None:
            """Have ``str.format``, which makes a text as long as it is told, be refused as any other method."""

        def is_safe_attribute(self, obj: object, attr: str, value: object) -> bool:
            if not super().is_safe_attribute(obj, attr, value):
                return False
            if not callable(value):
                return True
            return any(isinstance(obj, kind) and attr in allowed for kind, allowed in _METHODS.items())

        def call(self, context: Context, obj: object, *arguments: object, **named: object) -> object:
            given = (*arguments, *named.values())
            if getattr(obj, "__name__", "") in _STEPPING and any(isinstance(item, float) for item in given):
                raise SecurityError("a day of the week is a whole number.")
            result = super().call(context, obj, *arguments, **named)
            return _bounded(list(result) if isinstance(result, Iterator) else result)

    environment = Environment(
        undefined=StrictUndefined, optimized=False, keep_trailing_newline=True, cache_size=0, finalize=_shown
    )
    environment.globals.clear()
    kept = {name: environment.filters[name] for name in _FILTERS}
    harmless = {**kept, **_own_filters(), **_date_filters()}
    environment.filters = {name: _bounding(function) for name, function in harmless.items()}
    return environment


def _uncounted(value: object) -> object:
    """Return a time between two dates as one that is no list of its days: filling in would go through all of them."""
    as_duration = getattr(value, "as_duration", None)
    return as_duration() if isinstance(value, timedelta) and as_duration else value


def _own_filters() -> dict[str, Callable[..., object]]:
    """Return filters of Jinja's that could take any time and memory before there is a value to be bounded."""
    from jinja2.filters import do_round
    from jinja2.utils import htmlsafe_json_dumps

    def join(values: Iterable[object], d: str = "") -> str:
        items = [str(item) for item in values]
        _check_length(sum(map(len, items)) + len(str(d)) * len(items))
        return str(d).join(items)

    def replace(value: object, old: str, new: str, count: int = -1) -> str:
        text, old, new = str(value), str(old), str(new)
        _check_length(len(text) + text.count(old) * max(0, len(new) - len(old)))
        return text.replace(old, new, count)

    def round_(value: float, precision: int = 0, method: str = "common") -> float:
        if not _is_number(precision) or abs(precision) > MAX_DIGITS:
            raise _Refused(f"it rounds to more than {MAX_DIGITS} digits.")
        return do_round(value, precision, method)  # type: ignore[arg-type]

    def tojson(value: object) -> str:
        return str(htmlsafe_json_dumps(value))

    return {"join": join, "replace": replace, "round": round_, "tojson": tojson}


def _shown(value: object) -> object:
    """Return a value as it stands in a text."""
    return value.isoformat() if isinstance(value, (date, time)) else value


def _date_filters() -> dict[str, Callable[[datetime], str]]:
    def of(name: str) -> Callable[[datetime], str]:
        return lambda at: _dates(at)[name]

    return {name: of(name) for name in ("ds", "ds_nodash", "ts", "ts_nodash", "ts_nodash_with_tz")}


def _short(text: str) -> str:
    return repr(text if len(text) <= 80 else f"{text[:77]}...")
