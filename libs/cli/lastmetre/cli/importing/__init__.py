"""Reports from files: read by a mapping, sent like any channel's, and what became of them there."""
