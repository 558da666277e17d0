"""Backups of an installation on one server, and bringing them back."""
