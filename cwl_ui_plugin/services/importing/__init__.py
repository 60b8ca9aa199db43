"""Workflows from elsewhere: registries (GA4GH TRS), git repositories, zips and documents on the network."""
