"""A run as a document for people: what was done, on what, by whom, with what outcome; to read, print and keep."""
