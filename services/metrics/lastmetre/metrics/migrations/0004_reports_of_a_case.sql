-- How many reports a case has: the one that it was registered for, and those that have joined it.
ALTER TABLE fact ADD COLUMN reports int NOT NULL DEFAULT 1;
