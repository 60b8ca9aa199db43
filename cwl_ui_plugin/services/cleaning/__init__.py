"""What goes when nobody needs it any more: files, processes and records of runs."""
