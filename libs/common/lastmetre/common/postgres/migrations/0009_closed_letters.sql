-- A person may decide that a dead letter is to have no effect: when, who, and why. It can be replayed yet.
ALTER TABLE dead_letter ADD COLUMN closed_at timestamptz;
ALTER TABLE dead_letter ADD COLUMN closed_by text;
ALTER TABLE dead_letter ADD COLUMN closed_reason text;
