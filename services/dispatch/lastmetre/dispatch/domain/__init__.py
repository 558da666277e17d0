"""Pure rules: what may become of a case, and whose area a point lies in."""
