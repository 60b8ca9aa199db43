"""Where CWL-Airflow 1.2 had its CWLDAG and its operators."""
