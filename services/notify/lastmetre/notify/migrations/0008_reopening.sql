-- Who has rated a closing may still ask to take the case up again: the feedback that says so, once.
ALTER TABLE rating ADD COLUMN reopening_id uuid, ADD COLUMN reopening_asked_at timestamptz;
