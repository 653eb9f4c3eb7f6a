"""`./glovebox demo`: the whole loop on real data, told as a story that fails when a step differs from what must happen."""

from workbench.demo.run import run

__all__ = ["run"]
