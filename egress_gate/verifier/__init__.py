"""Where a measuring plan runs: a sealed container with nothing but the tables it reads, or a subprocess for `assess` and tests."""
