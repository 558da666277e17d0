-- Messages that somebody asked to send again: who, when, and what came of it. Their first end stays in
-- message_done, so a build that knows nothing of this cannot end one of them: the row is there already.
CREATE TABLE message_again (
    request_id  uuid        PRIMARY KEY,
    case_id     uuid        NOT NULL,
    recipient   text        NOT NULL,
    seq         int         NOT NULL,
    asked_role  text        NOT NULL,
    asked_by    text,
    asked_at    timestamptz NOT NULL, -- city time
    result      text,                 -- null while it is on its way
    provider    text,
    error       text,
    occurred_at timestamptz           -- when it ended, city time
);

CREATE INDEX message_again_case ON message_again (case_id);
CREATE INDEX message_again_latest ON message_again (result, occurred_at);

-- The request that this is sent again for.
ALTER TABLE message_waiting ADD COLUMN again uuid;

-- Ends of such messages that notify.deliveries tells of before the first end is known here.
ALTER TABLE adopted_delivery ADD COLUMN first_id uuid, ADD COLUMN request_id uuid,
    ADD COLUMN asked_role text, ADD COLUMN asked_by text, ADD COLUMN asked_at timestamptz;

-- The log is looked through by the number of a case.
CREATE INDEX subject_number ON subject (number);
