"""`python -m lastmetre.dispatch`."""

from lastmetre.dispatch.main import main

main()
