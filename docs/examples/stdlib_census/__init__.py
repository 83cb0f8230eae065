"""A census of a folder of Python modules, by default the standard library: one task for each, on workers that may die."""
