"""Pools, transactions, migrations and the core's own tables."""
