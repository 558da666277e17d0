"""The HTTP edge of the channels: answers once Kafka has the report, and needs no database."""
