"""The transaction of a use case that no batch of records brings one for."""

from functools import partial
from typing import Final

from lastmetre.common.service import transactions

CONSUMER: Final = "requests"
"""The consumer of everything that is asked of dispatch: whoever else decides parks with it."""

own_transaction = partial(transactions.own_transaction, consumer=CONSUMER)
