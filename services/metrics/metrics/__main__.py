"""Runs metrics."""

from metrics.main import main

main()
