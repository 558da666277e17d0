-- The version in which an area was removed: an older record that comes late does not bring it back.
CREATE TABLE area_removal (
    area_id         text PRIMARY KEY,
    network_version int  NOT NULL -- the highest that was seen
);
