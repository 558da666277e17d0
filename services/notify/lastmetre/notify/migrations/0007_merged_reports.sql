-- Reports that have joined a case, besides the one that it was registered for, in their order:
-- [report id, language, origin, whether its reporter can be reached] of each. None as a rule.
ALTER TABLE subject ADD COLUMN merged json;
