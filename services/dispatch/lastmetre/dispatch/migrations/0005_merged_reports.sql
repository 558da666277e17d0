-- Reports that have joined a case, besides the one that it was registered for, in their order.
ALTER TABLE "case" ADD COLUMN merged uuid[] NOT NULL DEFAULT '{}';

-- Which case a report has joined. Cases that no report has joined cost it nothing.
CREATE INDEX case_by_merged_report ON "case" USING gin (merged) WHERE merged <> '{}';
