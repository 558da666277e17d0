"""Consuming, producing and topics."""
