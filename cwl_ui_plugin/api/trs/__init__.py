"""GA4GH's Tool Registry Service 2.0, read-only: the workflows of the store for clients of registries."""
