-- Steps that somebody has asked for on a page and may take back until they are due. `due_at` is real
-- time. One that was refused then is kept until its actor has seen it.
CREATE TABLE held_action (
    action_id   uuid        PRIMARY KEY,
    case_id     uuid        NOT NULL,
    number      text        NOT NULL,
    actor       text        NOT NULL,
    request     bytea       NOT NULL, -- ActionRequested, JSON
    traceparent text        NOT NULL,
    due_at      timestamptz NOT NULL,
    refusal     text
);
CREATE UNIQUE INDEX held_action_of_case ON held_action (case_id) WHERE refusal IS NULL;

-- Who has which case open, as long as he says so again. Nothing is lost with it.
CREATE UNLOGGED TABLE case_viewer (
    case_id uuid        NOT NULL,
    viewer  text        NOT NULL,
    seen_at timestamptz NOT NULL,
    PRIMARY KEY (case_id, viewer)
);
