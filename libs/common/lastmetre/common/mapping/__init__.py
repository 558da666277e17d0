"""How partners write their reports, and reports of what they wrote: one engine for all ways in."""
