"""A census of the standard library: one task for each of its modules, on workers that may die."""
