"""An IPython extension: under an error that a limit of the sandbox explains, one more line says which limit."""

import sys

from glovebox_told import limits


def load_ipython_extension(shell):
    def tell(self, kind, error, trace, tb_offset=None):
        self.showtraceback((kind, error, trace), tb_offset=tb_offset)
        try:
            said = limits.explained(error)
        except Exception:  # noqa: BLE001 - the error itself was shown; no second one on top of it
            said = ""
        if said:
            sys.stderr.write(said + "\n")

    shell.set_custom_exc((OSError, MemoryError, RuntimeError), tell)
