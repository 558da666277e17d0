-- What metrics knows: one row of facts per case, and what else is counted.

-- The fold of a case's ledger, see metrics.domain.fact. Most updates touch no indexed column and
-- stay in their page, hence the room left in it.
CREATE TABLE fact (
    case_id         uuid        PRIMARY KEY,
    seq             int         NOT NULL,
    number          text        NOT NULL,
    report_id       uuid        NOT NULL,
    channel         text        NOT NULL,
    sub_channel     text,
    origin          text        NOT NULL,
    category        text        NOT NULL,
    source_category text,
    reported_at     timestamptz NOT NULL,
    reported_day    date        NOT NULL, -- local day in the city
    registered_at   timestamptz NOT NULL,
    state           text        NOT NULL,
    open            boolean     NOT NULL,
    area_id         text,
    lead_id         text,
    unplaced_reason text,
    dispatched_at   timestamptz,
    accepted_at     timestamptz,
    arrived_at      timestamptz,
    resolved_at     timestamptz,
    verified_at     timestamptz,
    closed_at       timestamptz,
    closing         int,
    cancelled_at    timestamptz,
    cancel_reason   text,
    returns         int         NOT NULL,
    reopenings      int         NOT NULL,
    rated_at        timestamptz,
    rated_closing   int,
    solved          boolean,
    score           smallint,
    closed_before_reported boolean NOT NULL,
    fixed_on_spot   boolean     NOT NULL
) WITH (fillfactor = 60);

CREATE INDEX ON fact (reported_day);
CREATE INDEX ON fact (area_id) WHERE open;

-- The last steps of all, for the board. A handful of rows.
CREATE TABLE movement (
    case_id  uuid        PRIMARY KEY,
    seq      int         NOT NULL,
    number   text        NOT NULL,
    channel  text        NOT NULL,
    area_id  text,
    step     text        NOT NULL,
    moved_at timestamptz NOT NULL
);

-- Every report once, whether it became a case or not.
CREATE TABLE report (
    report_id    uuid   PRIMARY KEY,
    channel      text   NOT NULL,
    origin       text   NOT NULL,
    reported_day date   NOT NULL,
    accepted     boolean NOT NULL,
    reasons      text[] NOT NULL -- of the rejection
);
CREATE INDEX ON report (reported_day, channel, origin, accepted);

-- Every message once, with what became of it.
CREATE TABLE message (
    message_id uuid PRIMARY KEY,
    day        date NOT NULL, -- local day in the city of the result
    recipient  text NOT NULL,
    provider   text,
    result     text NOT NULL
);

CREATE TABLE area (
    area_id         text  PRIMARY KEY,
    name_zh         text  NOT NULL,
    name_en         text  NOT NULL,
    lead_id         text,
    lead_name_zh    text,
    lead_name_en    text,
    outline         jsonb NOT NULL,
    network_version int   NOT NULL
);
