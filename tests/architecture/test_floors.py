"""Laws 1 and 2: imports go down, type-only ones too; no cycles; the core knows no driver, and plugins not each other."""

import sys
from collections import defaultdict
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest
from source_tree import ROOT, Import, imports_of, modules_in, plugin_folders

CORE = ROOT / "taskiq_core"

FLOORS = tuple(
    floor.split()
    for floor in (
        """
        acks
        batch
        cancel_marks
        cancel_signal
        canonical
        capability
        clock
        dead_bounds
        dead_detail
        defaults
        delivery
        error
        error_codec
        events
        exceptions
        ids
        labels
        limits
        low_share
        message
        options
        portable_text
        progress
        records
        result
        result_codec
        retry
        routes
        schedule
        server_error
        state
        task_events
        uniqueness
        utils
        wire
        """,
        """
        abc
        """,
        """
        announcer
        background
        batch_signature
        callers_thread
        change_bell
        due
        evacuating
        formatters
        group_commit
        key_template
        leaving
        listening
        marker
        middleware_chain
        migration_lock
        outage
        outbox
        passing_on
        serializers
        server_results
        server_retries
        signature
        stored_schedules
        transactions
        asyncio_only
        url_options
        waiting
        """,
        """
        created_schedule
        claiming
        requirements
        send_lock
        decor
        deduplication
        guards
        idempotency
        replacing
        gathering
        kicker
        option_check
        registrar
        registry
        removal
        router
        sending
        sync_bridge
        task
        """,
        """
        broker
        broker_events
        broker_parts
        broker_transactions
        context
        dead_letters
        depends
        limit_control
        migration
        plugins
        tasks
        """,
        """
        scheduler
        worker
        """,
        """
        brokers
        middlewares
        result_backends
        schedule_sources
        stores
        """,
        """
        __main__
        api
        cli
        config
        pytest_plugin
        taskiq_alias
        testing
        """,
    )
)
"""From the ground up. A name is a module or a package directly below `taskiq_core`; one a line, as many hands add to them."""
STRANGERS = {("worker", "scheduler"), ("scheduler", "worker")}
"""Neighbours on one floor that must not know each other."""

ALLOWED_EVERYWHERE = {"anyio", "pydantic", "pydantic_core", "typing_extensions"}
ALLOWED = {
    "click": "taskiq_core.cli",
    "croniter": "taskiq_core.due",
    "lazy_loader": "taskiq_core",
    "msgpack": "taskiq_core",
    "cbor2": "taskiq_core.serializers",
    "orjson": "taskiq_core.serializers",
    "pytest": "taskiq_core",
    "trio": "taskiq_core.background taskiq_core.testing",
}
"""Third-party package → the parts of the core that may import it."""
DRIVERS_IN_STDLIB = {"sqlite3", "dbm"}

EXCEPTIONS = {
    (
        "taskiq_core.broker",
        "taskiq_core.result_backends.dummy",
    ): "a broker without a result backend has the one that keeps nothing",
}
"""(importer, imported) → why this arrow may point up. One that is no longer needed fails the test."""

FLOOR_OF = {name: level for level, names in enumerate(FLOORS, start=1) for name in names}


def room(module: str) -> str:
    """`taskiq_core.abc.sender` → `abc`."""
    return module.split(".")[1]


def arrows() -> list[Import]:
    """Imports from one module of the core to another, but for those of the front door, which may import everything."""
    return [i for i in imports_of(CORE) if i.imported.split(".")[0] == "taskiq_core" and i.importer != "taskiq_core"]


def test_every_module_has_a_floor() -> None:
    rooms = {room(name) for name in modules_in(CORE) if "." in name}
    assert rooms - FLOOR_OF.keys() == set(), "put these modules on a floor in FLOORS"


def test_imports_go_down() -> None:
    wrong = [arrow for arrow in arrows() if not _is_fine(arrow) and (arrow.importer, arrow.imported) not in EXCEPTIONS]
    assert wrong == [], "\n".join(f"{arrow.where} imports {arrow.imported}" for arrow in wrong)


def test_no_exception_is_stale() -> None:
    used = {(arrow.importer, arrow.imported) for arrow in arrows() if not _is_fine(arrow)}
    assert EXCEPTIONS.keys() - used == set()


def _is_fine(arrow: Import) -> bool:
    if arrow.imported == "taskiq_core":
        return False  # the front door stands above everything
    importer, imported = room(arrow.importer), room(arrow.imported)
    return FLOOR_OF.get(imported, 0) <= FLOOR_OF.get(importer, 0) and (importer, imported) not in STRANGERS


@pytest.mark.parametrize(
    "package", [CORE, *(p for f in plugin_folders() for p in f.glob("taskiq_core_*"))], ids=lambda p: p.name
)
def test_there_is_no_cycle(package: Path) -> None:
    below: dict[str, set[str]] = defaultdict(set)
    for found in imports_of(package):
        below[found.importer].add(found.imported)
    try:
        TopologicalSorter(below).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_the_core_imports_no_driver() -> None:
    foreign = (i for i in imports_of(CORE) if i.imported.split(".")[0] not in {"taskiq_core", "__future__"})
    wrong = [f"{found.where} imports {found.imported}" for found in foreign if not _is_allowed_in_core(found)]
    assert wrong == [], "\n".join(wrong)


def _is_allowed_in_core(found: Import) -> bool:
    top = found.imported.split(".")[0]
    if top in sys.stdlib_module_names:
        return top not in DRIVERS_IN_STDLIB
    parts = ALLOWED.get(top, "").split()
    return top in ALLOWED_EVERYWHERE or any(f"{found.importer}.".startswith(f"{part}.") for part in parts)


@pytest.mark.parametrize("folder", plugin_folders(), ids=lambda p: f"{p.parent.name}/{p.name}")
def test_a_plugin_imports_no_plugin_of_another_server(folder: Path) -> None:
    found = [i for package in folder.glob("taskiq_core_*") for i in imports_of(package)]
    others = [
        i for i in found if i.imported.startswith("taskiq_core_") and not i.imported.split(".")[0].endswith(f"_{folder.name}")
    ]
    assert others == [], "\n".join(f"{i.where} imports {i.imported}" for i in others)
