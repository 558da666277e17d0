-- What a stopped sender has sent is handled with its own key once the sender is released, and is kept
-- as its dead letters are; rows of builds before this one have neither.

ALTER TABLE parked ADD COLUMN record_key bytea;
ALTER TABLE parked ADD COLUMN sealed boolean NOT NULL DEFAULT false;
ALTER TABLE stopped_sender ADD COLUMN reason text;
