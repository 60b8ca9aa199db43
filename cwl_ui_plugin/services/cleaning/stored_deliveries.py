"""What a store has of runs whose records are on workers that have no folder in common with the API server."""

from __future__ import annotations

import logging
from pathlib import Path

from cwl_ui_plugin import config, store_paths
from cwl_ui_plugin.cwl.engine.outputs import record
from cwl_ui_plugin.cwl.engine.outputs.record import MAX_RECORD, RECORD_OBJECT
from cwl_ui_plugin.dags.folders import claims
from cwl_ui_plugin.dags.folders.claims import Claim
from cwl_ui_plugin.fetching.errors import Away, FetchError
from cwl_ui_plugin.storing.reading import StoredPlace

log = logging.getLogger(__name__)


class StoredDeliveries:
    """Asks stores in one round; a bucket that does not answer is not asked again in that."""

    def __init__(self) -> None:
        self._silent: set[Path] = set()

    def may_have(self, claim: Claim) -> bool:
        """Whether there is anything in the place of a claim, or that can't be told; False for folders.

        The record of a run that is found there is noted here: the claim counts as used from then on, and retention
        knows what was delivered.
        """
        bucket = store_paths.bucket_of(claim.path)
        if bucket is None:
            return False
        if bucket in self._silent:
            return True
        try:
            return _is_anything_there(claim)
        except (FetchError, OSError, config.ConfigError) as error:
            if isinstance(error, Away):
                self._silent.add(bucket)
            log.warning("Whether a run has delivered to %s can't be told now: %s", claim.shown, error)
            return True


def _is_anything_there(claim: Claim) -> bool:
    place = StoredPlace(claim.path)
    entries, _has_more = place.entries("", most=1)
    if not entries:
        return False
    try:
        with place.open(RECORD_OBJECT) as file:
            found = claim.owner.own(file.read(MAX_RECORD))
    except FileNotFoundError:  # of an earlier version, or somebody else's
        return True
    if found is not None and claims.of(claim.path) == claim:
        record.write(claims.record_of(claim.path), found)
    return True
