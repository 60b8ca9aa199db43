"""Signed reports of what Airflow says about a run, and their delivery."""
