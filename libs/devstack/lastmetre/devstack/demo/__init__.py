"""The sample city and a day in it."""
