"""`python -m taskiq_core`."""

from taskiq_core.cli import main

main(prog_name="taskiq")
