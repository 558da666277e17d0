-- Reports as normalised, the vault, and what residents see of their cases.

-- One row for each report that was read: accepted, or rejected with reasons. The record that it
-- came with is named, so that the audit can account for every record of the channels.
CREATE TABLE report (
    report_id      uuid        PRIMARY KEY,
    identity       bytea       NOT NULL UNIQUE, -- of (sender, channel, source id), as in receipts
    sender         text        NOT NULL,
    channel        text        NOT NULL,
    source_id      text        NOT NULL,
    body_hash      bytea       NOT NULL, -- SHA-256 of the canonical body, to tell a repetition
    outcome        text        NOT NULL CHECK (outcome IN ('accepted', 'rejected')),
    reasons        text[]      NOT NULL,
    origin         text        NOT NULL,
    category       text        NOT NULL,
    reported_at    timestamptz NOT NULL,
    latitude       float8, -- WGS-84
    longitude      float8,
    sent_position  jsonb, -- as it was sent, where that was not WGS-84
    topic          text        NOT NULL,
    partition      int         NOT NULL,
    "offset"       bigint      NOT NULL,
    appended_at    bigint      NOT NULL -- the record's append time, milliseconds since 1970 UTC
);

-- Records that came after the first of their identity: the same again, or another body.
CREATE TABLE later_record (
    topic       text   NOT NULL,
    partition   int    NOT NULL,
    "offset"    bigint NOT NULL,
    appended_at bigint NOT NULL,
    report_id   uuid   NOT NULL,
    outcome     text   NOT NULL CHECK (outcome IN ('repeated', 'conflict')),
    sealed      bytea, -- the body of a conflict, for a person to look at
    PRIMARY KEY (topic, partition, "offset", appended_at)
);

-- The vault: name, phone, e-mail, text and address of each report, encrypted.
CREATE TABLE vault (
    report_id uuid  PRIMARY KEY,
    sealed    bytea NOT NULL
);

CREATE TABLE lead_contact (
    lead_id    text        PRIMARY KEY,
    sealed     bytea       NOT NULL,
    changed_at timestamptz NOT NULL
);

-- Every look at a contact by a person.
CREATE TABLE contact_look (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    report_id uuid        NOT NULL,
    actor     text        NOT NULL,
    asked_by  text        NOT NULL, -- the service or role that asked for it
    looked_at timestamptz NOT NULL
);

-- The ledger as residents see it.
CREATE TABLE case_view (
    case_id      uuid        PRIMARY KEY,
    report_id    uuid        NOT NULL UNIQUE,
    number       text        NOT NULL UNIQUE,
    seq          int         NOT NULL,
    state        text        NOT NULL,
    area_id      text,
    lead         jsonb -- as published
) WITH (fillfactor = 70);

CREATE TABLE timeline (
    case_id     uuid        NOT NULL,
    seq         int         NOT NULL,
    type        text        NOT NULL,
    occurred_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    details     jsonb       NOT NULL,
    PRIMARY KEY (case_id, seq)
);

-- The network of areas, for the form's map.
CREATE TABLE area (
    area_id         text  PRIMARY KEY,
    name            jsonb NOT NULL,
    town            jsonb,
    outline         jsonb NOT NULL,
    lead            jsonb,
    network_version int   NOT NULL
);

-- How far each partition of the channels was trimmed. What was trimmed keeps its rows above.
CREATE TABLE trimmed (
    topic       text        NOT NULL,
    partition   int         NOT NULL,
    low_offset  bigint      NOT NULL, -- records below are deleted
    trimmed_at  timestamptz NOT NULL,
    PRIMARY KEY (topic, partition)
);
