"""Rows of the catalogue, projects and grants as the domain's objects, and back."""
