"""`python -m lastmetre.dispatch`."""

from lastmetre.common.service.starting import start

start("lastmetre.dispatch.bootstrap")
