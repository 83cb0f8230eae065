"""What the workers run: `taskiq worker stdlib_census.app:broker`."""

import warnings
from pathlib import Path

from stdlib_census.census import ModuleCensus, take_census
from stdlib_census.ledger import record_run
from taskiq_core import broker_from_url

FOLDER = Path(".demo").absolute()
DATABASE = FOLDER / "jobs.db"
LEDGER = FOLDER / "ledger.txt"

warnings.simplefilter("ignore")  # the compiler's remarks on other people's modules
broker = broker_from_url(f"sqlite:///{DATABASE}")


@broker.task("count_module")
def count_module(path: str) -> ModuleCensus:
    """Count one module. A plain function: it runs in a thread of the worker."""
    with record_run(LEDGER, path):
        return take_census(path)
