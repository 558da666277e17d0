"""Pure: what a case's ledger says, and what is computed from many of them."""
