"""`python -m lastmetre.intake`."""

from lastmetre.intake.main import main

main()
