-- Photos of reports. `identity` is the report's: a photo may come before it. The pictures are in the
-- photo store, encrypted with a key of their own that is sealed here, with what the camera noted.
CREATE TABLE photo (
    photo_id uuid        PRIMARY KEY,
    identity bytea       NOT NULL,
    place    smallint    NOT NULL,
    object   uuid        NOT NULL,
    sealed   bytea       NOT NULL,
    width    int         NOT NULL,
    height   int         NOT NULL,
    kept_at  timestamptz NOT NULL,
    UNIQUE (identity, place)
);
CREATE INDEX photo_kept_at ON photo (kept_at);
-- What is in the photo store, or was about to be, and no row of `photo` names: to be deleted there.
CREATE TABLE unused_photo_object (
    object       uuid        PRIMARY KEY,
    unused_since timestamptz NOT NULL
);
