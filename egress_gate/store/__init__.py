"""The gate's queries: rows in, rows out. Deciding is done in `service`."""
