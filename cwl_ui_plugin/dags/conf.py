"""Which keys of a run's conf are no inputs: ``{"job": {...}, "check_payload"?: "<JWT>", "cwl_grant"?: "<JWT>"}``.

A run that a client of GA4GH WES has started also has ``"ga4gh_wes"``: the rest of that client's request.
"""

from __future__ import annotations

JOB = "job"
SIGNATURE = "check_payload"
GRANT = "cwl_grant"
WES = "ga4gh_wes"
