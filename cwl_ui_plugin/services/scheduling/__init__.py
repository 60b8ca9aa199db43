"""Schedules: when Airflow starts a workflow by itself, and with which job."""
