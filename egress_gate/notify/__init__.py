"""Telling people that something waits for them: in the desk, by e-mail, by webhook. Names and links only, never data."""
