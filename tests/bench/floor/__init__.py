"""The floor: what a lifecycle costs in one bare aiokafka + asyncpg program."""
