-- What the runtime keeps in every service's database.

CREATE TABLE position (
    flow        text   NOT NULL,
    topic       text   NOT NULL,
    partition   int    NOT NULL,
    next_offset bigint NOT NULL,
    appended_at bigint NOT NULL, -- of the record before next_offset, milliseconds since 1970 UTC
    PRIMARY KEY (flow, topic, partition)
) WITH (fillfactor = 50);

CREATE TABLE outbox (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    topic     text  NOT NULL,
    partition int   NOT NULL,
    shard     int   NOT NULL, -- of (topic, partition), see common.runtime.outbox.shard_of
    key       bytea NOT NULL,
    headers   bytea NOT NULL,
    value     bytea
);

CREATE TABLE dead_letter (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    flow        text        NOT NULL,
    topic       text        NOT NULL,
    partition   int         NOT NULL,
    "offset"    bigint      NOT NULL,
    appended_at bigint      NOT NULL,
    key         bytea,
    headers     bytea       NOT NULL,
    value       bytea,
    error       text        NOT NULL,
    died_at     timestamptz NOT NULL,
    replayed_at timestamptz,
    UNIQUE (flow, topic, partition, "offset", appended_at)
);

CREATE TABLE parked (
    flow        text        NOT NULL,
    key         uuid        NOT NULL, -- the case that has to come further first
    seq         bigint      NOT NULL, -- order within the key
    topic       text        NOT NULL,
    partition   int         NOT NULL,
    "offset"    bigint      NOT NULL,
    appended_at bigint      NOT NULL,
    headers     bytea       NOT NULL,
    value       bytea,
    parked_at   timestamptz NOT NULL,
    PRIMARY KEY (flow, key, seq, appended_at)
);
