"""`python -m lastmetre.notify`."""

from lastmetre.notify.main import main

main()
