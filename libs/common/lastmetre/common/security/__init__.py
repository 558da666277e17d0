"""Who may call what; signed links."""
