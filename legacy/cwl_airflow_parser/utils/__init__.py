"""What Dag files and airflow.cfg name below here."""
