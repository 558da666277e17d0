"""One registry of metric names, and structured logs."""
