"""What a page can show of a file, whoever wrote it: bounded, and with what is wrong with it in words."""
