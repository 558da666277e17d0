-- Staff of a city without an identity provider. Of a password Argon2id is here; the secret of the codes
-- is sealed by the vault. `last_step` is the time step of the last code: none is good twice.
CREATE TABLE staff_user (
    subject            text        PRIMARY KEY,
    roles              text[]      NOT NULL,
    lead_id            text,
    password_hash      text        NOT NULL,
    first_password_ends timestamptz,
    codes_sealed       bytea       NOT NULL,
    last_step          bigint      NOT NULL DEFAULT 0,
    added_at           timestamptz NOT NULL,
    disabled_at        timestamptz
);
