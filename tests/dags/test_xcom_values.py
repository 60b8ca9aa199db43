"""Values between tasks are JSON; integers of any size survive."""

from __future__ import annotations

import msgspec
import pytest

from cwl_ui_plugin.dags.xcom_values import packed, unpacked


@pytest.mark.parametrize("value", [2**64, -(2**63) - 1, 42 * 10**41, {"a": [2**70, {"b": 1}]}, None, 1.5, "x", True])
def test_a_value_survives_airflows_transport(value: object) -> None:
    sent = msgspec.msgpack.decode(msgspec.msgpack.encode(packed(value)))
    assert unpacked(sent) == value
