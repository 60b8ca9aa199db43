"""Watched folders: each complete set of files that comes into one starts one run, once."""
