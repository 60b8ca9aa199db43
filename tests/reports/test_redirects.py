"""Redirects of a receiver: followed on its host where the report stays what it is, told as a refusal otherwise."""

from __future__ import annotations

from typing import Any

import pytest
from support.receiver import answering, receiver

from cwl_ui_plugin.services.settings import report_delivery


def test_a_redirect_on_the_same_host_is_followed(connection: Any, do_round: Any, ended_run: str) -> None:
    with receiver() as portal:
        connection(portal.port)
        portal.mood = lambda _payload: (
            None if portal.paths[-1].startswith("/moved") else answering(308, Location="/moved/status")
        )
        do_round()
        assert portal.of_run(ended_run)
        assert report_delivery.delivery_state().waiting == 0


def test_a_redirect_to_another_host_is_not_followed(connection: Any, do_round: Any, ended_run: str) -> None:
    with receiver() as portal, receiver() as other:
        connection(portal.port, login="bot", password="word")
        portal.mood = lambda _payload: answering(307, Location=f"http://localhost:{other.port}/status")
        do_round()
        assert other.paths == []
        assert "final address" in str(report_delivery.delivery_state().last_error)


def test_redirects_in_a_circle_end(connection: Any, do_round: Any, ended_run: str) -> None:
    with receiver() as portal:
        connection(portal.port)
        portal.mood = lambda _payload: answering(307, Location=f"/again/{len(portal.paths) % 2}")
        do_round()
        assert len(portal.paths) == 4
        assert report_delivery.delivery_state().waiting


@pytest.mark.parametrize(
    "location", ["http://127.0.0.1:port/", "http://[::1", "http://[x]/", "mailto:x", "", "#x", "status"]
)
def test_a_redirect_to_no_other_address_is_a_refusal_and_asked_once(
    connection: Any, do_round: Any, ended_run: str, long_pauses: None, location: str
) -> None:
    with receiver() as portal:
        connection(portal.port)
        portal.mood = lambda _payload: answering(307, Location=location)
        do_round()
        assert len(portal.paths) == 1
        (stuck,) = report_delivery.waiting_runs().items
        assert "final address" in str(stuck.last_error)
        assert "a redirect to" in str(stuck.last_error)


@pytest.mark.parametrize(
    ("status", "location", "address"),
    [
        (308, "/b", "http://h:1/b"),
        (307, "b", "http://h:1/b"),
        (307, "https://h/b", "https://h/b"),
        (307, "https://h:9/b", "https://h:9/b"),
        (301, "/b", None),
        (302, "/b", None),
        (303, "/b", None),
        (307, "", None),
        (307, "http://h:2/b", None),
        (307, "http://h.other:1/b", None),
        (307, "ftp://h:1/b", None),
        (307, "//other:1/b", None),
        (307, "http://[/b", None),
    ],
)
def test_a_redirect_stays_on_the_host_and_keeps_the_body(status: int, location: str, address: str | None) -> None:
    from cwl_ui_plugin.reports import delivery
    from cwl_ui_plugin.reports.errors import NotDelivered

    if address:
        assert delivery._followed("http://h:1/a", status, location) == address
        return
    with pytest.raises(NotDelivered, match="final address") as caught:
        delivery._followed("http://h:1/a", status, location)
    assert caught.value.status == status
    assert (location or "nowhere") in str(caught.value)


def test_a_redirect_does_not_lead_from_https_to_http() -> None:
    from cwl_ui_plugin.reports import delivery
    from cwl_ui_plugin.reports.errors import NotDelivered

    assert delivery._followed("https://h/a", 307, "/b") == "https://h/b"
    with pytest.raises(NotDelivered):
        delivery._followed("https://h/a", 307, "http://h/b")
