"""Migrations of the plugin's tables, run by Airflow's ``db migrate``."""
