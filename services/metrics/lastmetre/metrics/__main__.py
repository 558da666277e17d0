"""`python -m lastmetre.metrics`."""

from lastmetre.common.service.starting import start

start("lastmetre.metrics.bootstrap")
