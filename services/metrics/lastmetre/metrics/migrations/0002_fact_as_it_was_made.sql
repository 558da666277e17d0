-- A rebuild by an earlier build left the facts without their storage parameters, and their indexes
-- under other names. A statement that finds all as it should be changes nothing.
ALTER TABLE fact SET (fillfactor = 60);

DO $$
DECLARE
    index record;
BEGIN
    FOR index IN
        SELECT c.relname AS name, CASE
                WHEN i.indisprimary THEN 'fact_pkey'
                WHEN pg_get_indexdef(i.indexrelid) LIKE '%(reported_day)' THEN 'fact_reported_day_idx'
                WHEN pg_get_indexdef(i.indexrelid) LIKE '%(area_id) WHERE open' THEN 'fact_area_id_idx'
            END AS wanted
        FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
        WHERE i.indrelid = 'fact'::regclass
    LOOP
        IF index.name <> index.wanted THEN
            EXECUTE format('ALTER INDEX %I RENAME TO %I', index.name, index.wanted);
        END IF;
    END LOOP;
END
$$;
