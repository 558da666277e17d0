-- Offsets that a flow was given no record for: the marks of a partner's transactions, and what these
-- took back. Noted while they are read, for once a topic is trimmed nobody could tell any more.
CREATE TABLE passed_over (
    flow         text   NOT NULL,
    topic        text   NOT NULL,
    partition    int    NOT NULL,
    first_offset bigint NOT NULL,
    next_offset  bigint NOT NULL, -- the first one after it that holds a record
    PRIMARY KEY (flow, topic, partition, first_offset)
);
