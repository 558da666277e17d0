-- A database that went back is told by its identity: another server, timeline, database or table than
-- when its service caught up with its log last. Then a new writer epoch begins in each partition, and
-- readers keep the highest one that they have seen (lastmetre.common.kafka.writer_epochs).

ALTER TABLE position ADD COLUMN writer_epoch bigint NOT NULL DEFAULT 0;
ALTER TABLE outbox_acknowledged ADD COLUMN writer_epoch bigint NOT NULL DEFAULT 0;

CREATE TABLE caught_up (
    single       boolean PRIMARY KEY DEFAULT true CHECK (single),
    identity     text,                       -- null: it has not caught up to the end yet
    writer_epoch bigint NOT NULL DEFAULT 0   -- in which its service writes to lasting topics
);
