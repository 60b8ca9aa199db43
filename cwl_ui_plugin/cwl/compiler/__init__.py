"""CWL documents into plans: checked, resolved, cut into step documents. May import cwltool."""
