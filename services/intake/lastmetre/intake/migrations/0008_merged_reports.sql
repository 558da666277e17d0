-- Reports that have joined a case that was registered for another one. A row goes when its report
-- leaves; of two cases that a report has joined the later one counts, since the ledgers of two cases
-- come in no order.
CREATE TABLE merged_report (
    report_id uuid        NOT NULL,
    case_id   uuid        NOT NULL,
    merged_at timestamptz NOT NULL, -- when the event was recorded
    PRIMARY KEY (report_id, case_id)
);

CREATE INDEX merged_report_by_case ON merged_report (case_id);
