"""Brokers, databases, services and load for the trials of faults: tests/faults/test_*.py."""
