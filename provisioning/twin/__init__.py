"""A table that looks like another and holds nobody: for development, and for sessions that may not see the data."""
