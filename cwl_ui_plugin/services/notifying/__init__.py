"""Telling users that their runs have ended, by the notifiers of Airflow that the site has configured."""
