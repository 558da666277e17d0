-- The mapping that read a report which a partner wrote in his own form: name, version, digest.
ALTER TABLE report ADD COLUMN read_by text;
