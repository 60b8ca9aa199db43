"""The report Connection, keys and options, as pages and API show them."""
