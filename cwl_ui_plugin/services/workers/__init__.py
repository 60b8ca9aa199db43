"""What workers without common folders tell of their tasks, and ask for: kept in the files that everybody reads here."""
