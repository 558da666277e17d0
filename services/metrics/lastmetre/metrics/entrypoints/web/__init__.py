"""The board, and how its figures come about."""
