"""JSON Schemas and samples of every message, and what may not change about them."""
