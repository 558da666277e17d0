-- Who has signed in, on which browser, until when. Of the secret in the browser only a digest is here.
CREATE TABLE staff_session (
    session_id       uuid        PRIMARY KEY,
    secret_digest    bytea       NOT NULL UNIQUE,
    subject          text        NOT NULL,
    roles            text[]      NOT NULL,
    lead_id          text,
    signed_in_by     text        NOT NULL,
    browser          text        NOT NULL,
    -- The same sign-in at the city's identity provider, which may end it.
    provider_subject text,
    provider_session text,
    begun_at         timestamptz NOT NULL,
    used_at          timestamptz NOT NULL,
    idle_ends_at     timestamptz NOT NULL,
    ends_at          timestamptz NOT NULL,
    revoked_at       timestamptz
);
CREATE INDEX staff_session_of_subject ON staff_session (subject);
CREATE INDEX staff_session_of_lead ON staff_session (lead_id) WHERE lead_id IS NOT NULL;
CREATE INDEX staff_session_at_provider ON staff_session (provider_subject)
    WHERE provider_subject IS NOT NULL;
CREATE INDEX staff_session_by_end ON staff_session (ends_at);
