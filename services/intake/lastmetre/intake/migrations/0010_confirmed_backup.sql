-- The youngest backup that was verified, and how far the channels had been read when it was begun: what
-- it brings back. Nothing above is trimmed.
CREATE TABLE confirmed_backup (
    only_one     boolean     PRIMARY KEY DEFAULT true CHECK (only_one),
    name         text        NOT NULL,
    begun_at     timestamptz NOT NULL,
    confirmed_at timestamptz NOT NULL
);
CREATE TABLE confirmed_position (
    topic       text   NOT NULL,
    partition   int    NOT NULL,
    next_offset bigint NOT NULL,
    topic_id    uuid, -- as in `position`
    PRIMARY KEY (topic, partition)
);
