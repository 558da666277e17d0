-- Where a case stands is read from its timeline: keeping it beside that cost a write for each event.
ALTER TABLE case_view DROP COLUMN state, DROP COLUMN area_id, DROP COLUMN lead;

-- A row of the timeline is what one turn told of a case: [seq, type, occurred_at, recorded_at,
-- details] of each event, in order. Half as many rows, with half of the values.
ALTER TABLE timeline RENAME TO timeline_of_single_events;

CREATE TABLE timeline (
    case_id uuid NOT NULL,
    seq     int  NOT NULL, -- of the last of these events
    events  json NOT NULL,
    PRIMARY KEY (case_id, seq)
);

INSERT INTO timeline
SELECT case_id, seq,
    json_build_array(json_build_array(seq, type, occurred_at, recorded_at, details))
FROM timeline_of_single_events;

DROP TABLE timeline_of_single_events;
