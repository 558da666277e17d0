"""Which event asks for which message to whom. No I/O, no clock, no randomness."""
