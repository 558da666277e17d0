"""`lastmetre audit`: do the books balance? Counted from the topics and the tables themselves."""
