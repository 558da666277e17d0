-- What a restored database, or a lost topic, is made whole from. A build of before can go on beside
-- it: new columns are nullable, nothing is renamed.

-- The event as it went onto its topic; null in rows older than this, or written by an older build.
ALTER TABLE ledger ADD COLUMN body bytea, ADD COLUMN traceparent text;

-- Tells a repetition from something else under the same id. `meaning` is what older builds compare.
ALTER TABLE answer ADD COLUMN fingerprint bytea;

-- Actions and feedback name their ids themselves: an action must not occupy a feedback's.
CREATE UNIQUE INDEX answer_by_request ON answer (request_id, (kind = 'feedback'));
ALTER TABLE answer DROP CONSTRAINT answer_pkey;

-- Cases whose log ends in the middle of a decision, as adopted: the rest is decided anew.
CREATE TABLE unfinished_decision (case_id uuid PRIMARY KEY);

-- Numbers are counted by the day as it is printed, with two digits of the year.
INSERT INTO day_number AS d (day, last)
SELECT make_date(2000 + extract(year FROM day)::int % 100, extract(month FROM day)::int,
                 extract(day FROM day)::int) AS printed, max(last)
FROM day_number WHERE extract(year FROM day) NOT BETWEEN 2000 AND 2099 GROUP BY printed
ON CONFLICT (day) DO UPDATE SET last = greatest(d.last, excluded.last);
