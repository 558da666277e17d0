-- A plain hash of a short text could be guessed. It is an HMAC now, under a key made of the vault's.
ALTER TABLE report RENAME COLUMN body_hash TO fingerprint;
