"""What the services of Lastmetre share: contracts, Kafka, PostgreSQL, hosting, the pages' kit."""
