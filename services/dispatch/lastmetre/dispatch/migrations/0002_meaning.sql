-- Tells a repetition from something else that is asked under the same id; null in older answers.

ALTER TABLE answer ADD COLUMN meaning bytea;
