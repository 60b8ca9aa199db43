"""One text for equal values. Its digests are kept in databases: another text would let used tokens be used again."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from cwl_ui_plugin.signing.contents import canonical, digest
from cwl_ui_plugin.signing.errors import BadSignature

VALUE = {"b": [1, 1.0, True, 2.5], "a": "ü"}
TEXT = r'{"a":"\u00fc","b":[1,1,true,2.5]}'


def test_the_text_and_the_digest_stay_what_they_are() -> None:
    assert canonical(VALUE) == TEXT
    assert digest(VALUE) == hashlib.sha256(TEXT.encode()).hexdigest()


@pytest.mark.parametrize("value", [float("nan"), [float("inf")], {"a": float("-inf")}, {1, 2}, b"x"])
def test_what_is_no_json_is_refused(value: Any) -> None:
    with pytest.raises(BadSignature, match=r"^The conf is nested too deeply, or no JSON"):
        canonical(value)
