"""The gate's own gathering of facts into policy inputs, and obeying the answers. No rule is decided here."""
