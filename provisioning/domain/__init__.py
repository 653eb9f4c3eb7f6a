"""What a dataset, a project, a grant and a mount plan are, and the rules that hold between them. Pure."""
