"""Regressions as the gate understands them: a formula of its own small language, the rows it is fitted to, and what a fit tells."""
