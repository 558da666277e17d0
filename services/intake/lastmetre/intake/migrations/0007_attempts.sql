-- What anybody may do without a credential is counted by what it is about and by who asks, in windows
-- of time, by all processes together. `counted` is a keyed digest: neither phones nor addresses.
CREATE TABLE attempt (
    kind          text        NOT NULL,
    counted       bytea       NOT NULL,
    window_begins timestamptz NOT NULL,
    attempts      int         NOT NULL,
    PRIMARY KEY (kind, counted, window_begins)
);
CREATE INDEX attempt_by_window ON attempt (window_begins);
