-- In which version of the network each area was announced, or removed, last: a database that has
-- forgotten an import takes it in partition by partition, and knows of each area what is newer.
CREATE TABLE area_version (
    area_id         text PRIMARY KEY,
    network_version int  NOT NULL
);

INSERT INTO area_version SELECT area_id, network.version FROM area, network;
