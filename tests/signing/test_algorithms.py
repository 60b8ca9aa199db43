"""Lists of algorithms, as they stand in Variables."""

from __future__ import annotations

import pytest

from cwl_ui_plugin.signing.algorithms import ALGORITHMS, parse_algorithms
from cwl_ui_plugin.signing.errors import BadAlgorithm


@pytest.mark.parametrize(
    ("text", "expected"),
    [(None, ("RS256",)), ("", ("RS256",)), ("es256", ("ES256",)), (" EDDSA , ps512,", ("EdDSA", "PS512"))],
)
def test_a_list_is_read_whatever_its_letters(text: str | None, expected: tuple[str, ...]) -> None:
    assert parse_algorithms(text) == expected


@pytest.mark.parametrize(
    ("text", "named"),
    [("none", "none"), ("RS256,none,HS1", "none, HS1"), ("RS256 ES256", "RS256 ES256"), (",", "Nothing")],
)
def test_what_is_unknown_is_named_with_what_there_is(text: str, named: str) -> None:
    with pytest.raises(BadAlgorithm) as caught:
        parse_algorithms(text)
    assert str(caught.value) == f"{named} is no signature algorithm; use {', '.join(ALGORITHMS)}."
