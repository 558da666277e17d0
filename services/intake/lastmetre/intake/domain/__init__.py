"""Intake's rules. No I/O, no clock, no randomness."""
