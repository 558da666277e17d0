"""Sending: commit `sending`, call the provider, commit the result; one at a time a reader."""
