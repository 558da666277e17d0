"""What is outside: the database, the vault, files."""
