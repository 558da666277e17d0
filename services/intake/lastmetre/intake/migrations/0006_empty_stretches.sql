-- Stretches of the channels' topics that held no record when the trimmer looked, before it deleted
-- what stands round them. What a consumer was not handed is one thing, that nothing was there
-- another: once a topic is trimmed, the audit believes no gap that is wider than a transaction's
-- marks and is not here.
CREATE TABLE empty_stretch (
    topic        text        NOT NULL,
    partition    int         NOT NULL,
    first_offset bigint      NOT NULL,
    next_offset  bigint      NOT NULL,
    seen_at      timestamptz NOT NULL,
    PRIMARY KEY (topic, partition, first_offset)
);
