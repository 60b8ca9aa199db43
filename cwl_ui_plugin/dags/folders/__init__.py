"""The folders of runs: whose they are, what is in them, and the files of control."""
