"""The form of a job, made from the inputs of a workflow: plan -> fields, job -> fields, posted fields -> job."""
