-- Whom the text of an ended message named, so that staff can read what was sent. Null in older rows.
ALTER TABLE message_done ADD COLUMN lead_zh text, ADD COLUMN lead_en text;
