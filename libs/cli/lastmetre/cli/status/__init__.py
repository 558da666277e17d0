"""`lastmetre status`: what runs, whether it is well, and what waits."""
