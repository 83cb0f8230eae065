"""`python -m taskiq_core.cli`."""

from taskiq_core.cli import main

main(prog_name="taskiq")
