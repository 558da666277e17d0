-- Which topic a position is in: one that was deleted and made anew has another id. Null: not known.
ALTER TABLE position ADD COLUMN topic_id uuid;
