"""The SQL of metrics, all of it: facts, what is counted beside them, and the figures from both."""
