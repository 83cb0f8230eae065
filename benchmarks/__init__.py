"""What the framework costs, measured beside raw loops over the same stores: `python -m benchmarks --help`.

Each module here measures one thing and is run by `__main__`. Rates depend on the machine, so the budget enforces ratios
between two figures of the same round, taken seconds apart.
"""
