"""JSON that a server on the network answers: strict, and with texts only that can be kept and sent on."""

from __future__ import annotations

import json
from typing import Any

from cwl_ui_plugin import strict_json
from cwl_ui_plugin.fetching.errors import OtherContent
from cwl_ui_plugin.fetching.fetch import Answer, shown


def value_of(answer: Answer) -> Any:
    """Return what was answered; raise :class:`OtherContent` for something else than JSON, or half a surrogate pair."""
    try:
        value = strict_json.loads(answer.content)
        json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise OtherContent(f"{shown(answer.url)} answers with something else than JSON: {str(error)[:200]}.") from None
    return value
