-- Where a case stands is read from its timeline: keeping it beside that cost a write for each event.
ALTER TABLE case_view DROP COLUMN state, DROP COLUMN area_id, DROP COLUMN lead;
