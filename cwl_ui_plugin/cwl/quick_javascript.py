"""JavaScript in this process, by QuickJS: an expression takes a millisecond, where Node.js boots for fifty.

CWL asks for ECMAScript 5.1, which QuickJS does as Node.js does it. What QuickJS can't evaluate, or might answer in
other words, is left to Node.js, so that results and complaints are those of cwltool.
"""

from __future__ import annotations

import re

import quickjs

_SECONDS = 1
"""Whatever takes longer gets the compiler of Node.js."""
_MEMORY_BYTES = 256 * 2**20
_FOR_NODE = re.compile(r"\bDate\b|Intl|[lL]ocale|\bconsole\b|\bstack\b|\bWebAssembly\b")
"""What depends on the engine: names of time zones, languages, and what only one of the two has."""
_EVALUATE = "(code) => JSON.stringify((0, eval)(code))"
"""Called indirectly, eval() sees global names only: those of ECMAScript."""


def evaluate(code: str) -> str | None:
    """Return the JSON of what ``code`` evaluates to, or None if Node.js has to say."""
    if _FOR_NODE.search(code):
        return None
    context = quickjs.Context()  # new, as an expression must not see what another has left
    context.set_time_limit(_SECONDS)
    context.set_memory_limit(_MEMORY_BYTES)
    try:
        found = context.eval(_EVALUATE)(code)
    except (quickjs.JSException, MemoryError):
        return None
    return found if isinstance(found, str) else None
