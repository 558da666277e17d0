"""What a transaction sends, and the relay that brings it to Kafka."""
