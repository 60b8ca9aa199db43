"""Why a value can't be handed on, or had: told as any failure of a step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from cwl_ui_plugin.cwl.errors import StepError
from cwl_ui_plugin.cwl.temporary_errors import may_pass
from cwl_ui_plugin.fetching.errors import FetchError, NotThere, OtherContent

FETCHING = "A file of an earlier task can't be had"
PUTTING = "What the task hands on can't be stored"
_GONE = " If it does not come back: clear the task that has made it, with all tasks after it."


class NotPlain(ValueError):
    """A value, or a file of it, is none that can be handed on."""


@contextmanager
def told(doing: str) -> Iterator[None]:
    """Raise what goes wrong as a :class:`StepError`; ``temporaryFail`` where it may pass."""
    try:
        yield
    except FetchError as error:
        is_gone = isinstance(error, NotThere) and error.status == 404
        # A store that tells of an earlier time has what is new a moment later; what comes damaged may come whole then.
        passes = error.may_pass or is_gone or isinstance(error, OtherContent)
        text = f"{doing}: {error}{_GONE if is_gone and doing == FETCHING else ''}"
        raise StepError(text, kind="temporaryFail" if passes else "permanentFail") from error
    except NotPlain as error:
        raise StepError(f"{doing}: {error}.") from error
    except OSError as error:
        named = f" ({error.filename})" if error.filename else ""
        kind = "temporaryFail" if may_pass(error) else "permanentFail"
        raise StepError(f"{doing}: {error.strerror or error}{named}.", kind=kind) from error
