-- What became of a rating: when its entry in the ledger was known here, and whether the case was
-- taken up again for it. Those of before are taken to be recorded as they were given.
ALTER TABLE rating ADD COLUMN recorded_at timestamptz, ADD COLUMN reopened boolean NOT NULL DEFAULT false;
UPDATE rating SET recorded_at = given_at, reopened = reopen;
