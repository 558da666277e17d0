"""`python -m dispatch`."""

from dispatch.main import main

main()
