-- A case as far as messages need it. No contact, no text: those are asked of the vault.
CREATE TABLE subject (
    case_id            uuid     PRIMARY KEY,
    seq                int      NOT NULL, -- of the last event applied
    asked              int      NOT NULL, -- messages asked for so far: waiting plus done
    reporter_reachable boolean  NOT NULL,
    acknowledged       boolean  NOT NULL, -- the reporter's "we have it" has been asked for
    report_id          uuid     NOT NULL,
    number             text     NOT NULL,
    language           text     NOT NULL,
    origin             text     NOT NULL,
    category           text     NOT NULL,
    state              text     NOT NULL,
    lead_id            text,
    lead_zh            text,
    lead_en            text
) WITH (fillfactor = 60);

-- Messages asked for and not at their end yet. A row leaves for message_done when it is.
CREATE TABLE message_waiting (
    case_id     uuid        NOT NULL,
    recipient   text        NOT NULL, -- 'reporter' or 'lead:' and the lead's id
    seq         int         NOT NULL, -- the event that it tells of
    attempts    int         NOT NULL DEFAULT 0, -- also fences a settlement that comes too late
    shard       smallint    NOT NULL, -- of the case: which process sends it
    lane        text        NOT NULL DEFAULT '', -- set where a provider had no room: wait for that
    sending_by  text,                 -- the provider that is being called now
    kind        text        NOT NULL,
    asked_at    timestamptz NOT NULL, -- real time, as not_before
    not_before  timestamptz NOT NULL,
    occurred_at timestamptz NOT NULL, -- the event's time, city time
    traceparent text        NOT NULL,
    lead_zh     text,                 -- whom the text names
    lead_en     text,
    error       text,                 -- why the last attempt did not succeed
    PRIMARY KEY (case_id, recipient, seq)
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_threshold = 2000);

-- Claiming changes neither column, so it stays a heap-only update.
CREATE INDEX message_waiting_due ON message_waiting (lane, not_before);

-- The end of each message.
CREATE TABLE message_done (
    case_id     uuid        NOT NULL,
    recipient   text        NOT NULL,
    seq         int         NOT NULL,
    kind        text        NOT NULL,
    result      text        NOT NULL, -- sent, failed, suppressed, unknown
    provider    text,
    error       text,
    occurred_at timestamptz NOT NULL, -- when it ended, city time
    PRIMARY KEY (case_id, recipient, seq)
);

CREATE INDEX message_done_latest ON message_done (result, occurred_at);

-- What a reporter said about a closing; a used link shows it again.
CREATE TABLE rating (
    case_id     uuid        NOT NULL,
    closing     int         NOT NULL,
    feedback_id uuid        NOT NULL,
    solved      boolean     NOT NULL,
    score       smallint    NOT NULL,
    reopen      boolean     NOT NULL,
    given_at    timestamptz NOT NULL,
    PRIMARY KEY (case_id, closing)
);
