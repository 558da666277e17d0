"""`python -m lastmetre.notify`."""

from lastmetre.common.service.starting import start

start("lastmetre.notify.bootstrap")
