"""`python -m lastmetre.intake`."""

from lastmetre.common.service.starting import start

start("lastmetre.intake.bootstrap")
