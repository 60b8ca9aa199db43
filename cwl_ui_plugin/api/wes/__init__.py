"""GA4GH's Workflow Execution Service 1.1, mounted at ``/ga4gh/wes/v1``."""
