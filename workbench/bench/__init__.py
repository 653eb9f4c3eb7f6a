"""Claims of speed, measured: two things in turn, A B A B, ratios pair by pair, with the machine they were measured on."""

from workbench.bench.frame import Benchmark, Measured, Pair
from workbench.bench.run import list_benchmarks, run_benchmarks

__all__ = ["Benchmark", "Measured", "Pair", "list_benchmarks", "run_benchmarks"]
