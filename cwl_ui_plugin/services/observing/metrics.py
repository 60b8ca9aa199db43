"""The page for Prometheus: text, computed at most every few seconds, whoever asks."""

from __future__ import annotations

import hmac
import logging
import threading
import time

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Metric, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from cwl_ui_plugin import config
from cwl_ui_plugin.services.observing.bounded import TimedOut, within
from cwl_ui_plugin.services.observing.families import GROUPS, Families

CONTENT_TYPE = CONTENT_TYPE_LATEST
KEEP_SECONDS = 5.0
ANSWER_SECONDS = 8.0
"""How long a part may take: Prometheus waits 10 seconds for all."""
ERRORS = "cwl_scrape_errors"
log = logging.getLogger(__name__)
_lock = threading.Lock()


class _Kept:
    """The last page, for some seconds."""

    text = b""
    until = 0.0


class _Page(Collector):
    """All groups; one that can't be computed is left out, and told of."""

    def collect(self) -> Families:
        """Yield the metrics."""
        deadline = time.monotonic() + ANSWER_SECONDS
        errors = GaugeMetricFamily(ERRORS, "Whether a group of metrics could not be computed.", labels=["group"])
        for name in GROUPS:
            found = _computed(name, deadline)
            errors.add_metric([name], int(found is None))
            yield from found or ()
        yield errors


def _computed(name: str, deadline: float) -> list[Metric] | None:
    try:
        return within(max(0.1, deadline - time.monotonic()), f"metrics {name}", lambda: list(GROUPS[name]()))
    except TimedOut:
        log.warning("The metrics of %s can't be told: nothing answers in time", name)
    except Exception:
        log.exception("The metrics of %s can't be told", name)
    return None


def page() -> bytes:
    """Return the page, in the text format of Prometheus."""
    with _lock:
        if time.monotonic() >= _Kept.until:
            registry = CollectorRegistry(auto_describe=False)
            registry.register(_Page())
            _Kept.text = generate_latest(registry)
            _Kept.until = time.monotonic() + KEEP_SECONDS
        return _Kept.text


def forget() -> None:
    """Have the next call compute the page anew."""
    _Kept.until = 0.0


def is_token(given: str) -> bool:
    """Whether this is the secret of ``[cwl] metrics_token``."""
    try:
        token = config.metrics_token()
    except config.ConfigError as error:
        log.warning("%s", error)
        return False
    return bool(token) and hmac.compare_digest(given.encode(), token.encode())
