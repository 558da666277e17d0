"""Use cases, called by Kafka, API and pages alike."""
