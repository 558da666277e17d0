"""Residents' pages: the report form and the progress page."""
