-- Ends of messages that notify.deliveries tells of and this database had forgotten, before the
-- case's events have come again and ask for the message. Empty unless the database went back.
CREATE TABLE adopted_delivery (
    message_id  uuid        PRIMARY KEY,
    case_id     uuid        NOT NULL,
    seq         int         NOT NULL,
    result      text        NOT NULL,
    provider    text,
    error       text,
    occurred_at timestamptz NOT NULL
);

-- What has waited too long, and how long the oldest waits. Claiming changes nothing in it.
CREATE INDEX message_waiting_asked ON message_waiting (asked_at);
