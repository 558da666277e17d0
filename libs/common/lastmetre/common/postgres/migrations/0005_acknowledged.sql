-- How far each partition that this service writes has been acknowledged, kept with the outbox: what
-- stands in the log beyond that, the database may have forgotten.

CREATE TABLE outbox_acknowledged (
    topic       text   NOT NULL,
    partition   int    NOT NULL,
    next_offset bigint NOT NULL,
    appended_at bigint NOT NULL, -- of the record before next_offset, milliseconds since 1970 UTC
    PRIMARY KEY (topic, partition)
) WITH (fillfactor = 50);

-- Shards progress apart: the head of each is found without reading another's rows.
ALTER TABLE outbox DROP CONSTRAINT outbox_pkey1;
ALTER TABLE outbox ADD PRIMARY KEY (shard, id);
ALTER TABLE outbox ADD COLUMN added_at timestamptz DEFAULT now();

-- A sender most of whose records are bad: what it sends waits in `parked`.
CREATE TABLE stopped_sender (
    consumer   text        NOT NULL,
    topic      text        NOT NULL,
    partition  int         NOT NULL,
    source     text        NOT NULL,
    stopped_at timestamptz NOT NULL,
    PRIMARY KEY (consumer, topic, partition, source)
);
