"""`python -m intake`."""

from intake.main import main

main()
