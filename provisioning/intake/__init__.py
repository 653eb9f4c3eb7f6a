"""Reading files of many kinds with DuckDB and writing them as Parquet: streamed, typed, complete or not at all."""
