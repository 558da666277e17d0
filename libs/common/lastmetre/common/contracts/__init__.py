"""Events and topics: the only thing that services share about each other."""
