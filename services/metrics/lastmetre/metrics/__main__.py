"""Runs metrics."""

from lastmetre.metrics.main import main

main()
