"""All SQL of intake, by topic."""
