"""The SQL of dispatch, and nowhere else."""
