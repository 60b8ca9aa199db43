"""GA4GH's Workflow Execution Service on top of the other services: requests, attachments, states, logs."""
