-- Reports that a restored database knows from `reports` alone, until their channel record is read
-- again; where that is gone, their contents stay missing.

ALTER TABLE report ADD COLUMN contents_missing boolean NOT NULL DEFAULT false;
ALTER TABLE report
    ALTER COLUMN sender DROP NOT NULL,
    ALTER COLUMN source_id DROP NOT NULL,
    ALTER COLUMN fingerprint DROP NOT NULL;
