"""One registry of metric names, structured logs, and spans where they are exported."""
