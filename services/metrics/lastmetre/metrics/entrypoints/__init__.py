"""What calls this service: HTTP, pages, Kafka and tools. They translate, and decide nothing."""
