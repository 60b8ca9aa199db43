"""The store's workflows as tools of a registry (GA4GH TRS 2.0), and which of them are for everybody."""
