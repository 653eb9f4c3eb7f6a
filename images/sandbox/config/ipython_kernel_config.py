"""How a notebook's kernel runs: errors that a limit of the sandbox explains say so."""

c = get_config()  # noqa: F821 - given by traitlets

c.InteractiveShellApp.extensions = ["glovebox_told.cells"]
