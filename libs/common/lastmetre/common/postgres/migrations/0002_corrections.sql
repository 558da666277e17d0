-- A dead letter that was replayed with another body or other headers: as it counted then.

ALTER TABLE dead_letter
    ADD COLUMN corrected_headers bytea, -- null: replayed as it came, or not replayed
    ADD COLUMN corrected_value   bytea;
