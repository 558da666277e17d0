"""`lastmetre ledger`: the topic case.events as files, out of Kafka and back."""
