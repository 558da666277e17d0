"""The exactly-once runtime and the bootstrap that every service uses in the same few lines."""
