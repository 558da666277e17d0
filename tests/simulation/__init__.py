"""The real core on an in-memory broker and an in-memory store, under a virtual clock."""
