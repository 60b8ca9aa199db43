"""Jobs (input objects): checked against the inputs of a process, without cwltool."""
