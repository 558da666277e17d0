-- Cases, their ledger, what was asked and answered, and the network of areas.

CREATE TABLE "case" (
    case_id         uuid PRIMARY KEY,
    seq             int         NOT NULL,
    state           text        NOT NULL,
    is_open         boolean     NOT NULL,
    number          text        NOT NULL UNIQUE,
    report_id       uuid        NOT NULL UNIQUE,
    channel         text        NOT NULL,
    origin          text        NOT NULL,
    category        text        NOT NULL,
    language        text        NOT NULL,
    reported_at     timestamptz NOT NULL,
    latitude        float8,
    longitude       float8,
    changed_at      timestamptz NOT NULL,
    area_id         text,
    lead_id         text,
    unplaced_reason text,
    closings        int[]       NOT NULL,
    rated           int[]       NOT NULL
) WITH (fillfactor = 70);

-- Only `is_open` and `lead_id` in the index, so that most steps are HOT updates.
CREATE INDEX case_open_by_lead ON "case" (lead_id) WHERE is_open;

CREATE TABLE ledger (
    case_id     uuid        NOT NULL,
    seq         int         NOT NULL,
    type        text        NOT NULL,
    occurred_at timestamptz NOT NULL,
    recorded_at timestamptz NOT NULL,
    actor_role  text        NOT NULL,
    actor_id    text,
    PRIMARY KEY (case_id, seq)
);

-- The answer to every action and feedback, by its own id: asked again, it is given again.
CREATE TABLE answer (
    request_id  uuid PRIMARY KEY,
    case_id     uuid        NOT NULL,
    kind        text        NOT NULL,
    refusal     text,
    seq         int         NOT NULL,
    answered_at timestamptz NOT NULL
);

CREATE TABLE day_number (
    day  date PRIMARY KEY,
    last int NOT NULL
);

CREATE TABLE network (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    version  int NOT NULL
);
INSERT INTO network (version) VALUES (0);

CREATE TABLE area (
    area_id text PRIMARY KEY,
    name_zh text NOT NULL,
    name_en text NOT NULL,
    town_zh text,
    town_en text,
    outline jsonb NOT NULL,
    lead_id text
);

CREATE TABLE lead (
    lead_id text PRIMARY KEY,
    name_zh text NOT NULL,
    name_en text NOT NULL,
    post_zh text NOT NULL,
    post_en text NOT NULL
);
