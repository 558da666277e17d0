-- Whose rating it is: of a report that has joined the case, or nobody's, of the one it was registered for.
ALTER TABLE rating ADD COLUMN report_id uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
    DROP CONSTRAINT rating_pkey, ADD PRIMARY KEY (case_id, closing, report_id);
