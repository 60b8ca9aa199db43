"""From a plan to a Dag: CWLDAG, the operators, the Dag bundle, clean_dag_run."""
