-- What staff have noted on cases, sealed. It goes with what is personal of the report.
CREATE TABLE case_note (
    note_id   uuid        PRIMARY KEY,
    report_id uuid        NOT NULL,
    sealed    bytea       NOT NULL,
    kept_at   timestamptz NOT NULL
);
CREATE INDEX case_note_of_report ON case_note (report_id);
