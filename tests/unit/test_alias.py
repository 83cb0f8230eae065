"""The alias of taskiq, each time in a process of its own: an alias cannot be taken back."""

import importlib.util
import subprocess
import sys

import pytest

INSTALL = "import taskiq_core.taskiq_alias as alias\nalias.install()\n"


def run(code: str) -> str:
    """What the code prints in a fresh interpreter."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_module_and_name_of_the_table_is_there() -> None:
    code = """
import importlib
for below, names in alias._MODULES.items():
    module = importlib.import_module("taskiq" + ("." + below if below else ""))
    for name in names.split():
        assert getattr(module, name) is not None, (below, name)
    assert module.__all__ == names.split()
print(len(alias._MODULES))
"""
    assert int(run(INSTALL + code)) > 40


def test_the_objects_are_ours() -> None:
    code = """
import taskiq
import taskiq_core
from taskiq import TaskiqResult
from taskiq.abc.broker import AckableMessage, AsyncBroker
from taskiq.depends.progress_tracker import TaskProgress
from taskiq.error import Error
from taskiq.scheduler.scheduled_task import ScheduledTask
from taskiq_core.exceptions import TaskiqError
assert AsyncBroker is taskiq_core.AsyncBroker is taskiq.AsyncBroker
assert AckableMessage is taskiq_core.AckableMessage
assert TaskiqResult is taskiq_core.TaskiqResult
assert ScheduledTask is taskiq_core.ScheduledTask
assert TaskProgress is taskiq_core.TaskProgress
assert Error is TaskiqError
assert taskiq.serializers.JSONSerializer.__module__ == "taskiq_core.serializers.json_serializer"
"""
    run(INSTALL + code)


def test_nothing_is_imported_before_it_is_asked_for() -> None:
    code = """
import sys
before = set(sys.modules)
import taskiq.cli.utils
import taskiq.scheduler.scheduler
print(*(name for name in set(sys.modules) - before if not name.startswith("taskiq.")))
"""
    assert run(INSTALL + code).split() == ["taskiq"]


@pytest.mark.parametrize(
    ("statement", "text"),
    [
        (
            "import taskiq.brokers.zmq_broker",
            "No module named 'taskiq.brokers.zmq_broker': `taskiq` is an alias of taskiq_core",
        ),
        ("from taskiq.brokers.zmq_broker import ZeroMQBroker", "No module named 'taskiq.brokers.zmq_broker'"),
        ("from taskiq import NoSuchThing", "cannot import name 'NoSuchThing' from 'taskiq'"),
        ("from taskiq.abc import NoSuchThing", "cannot import name 'NoSuchThing' from 'taskiq.abc'"),
    ],
)
def test_what_is_not_there_is_a_clear_import_error(statement: str, text: str) -> None:
    code = f"try:\n    {statement}\nexcept ImportError as error:\n    print(error)\nassert 'NoSuchThing' not in globals()"
    assert text in run(INSTALL + code)


def test_a_missing_attribute_is_an_attribute_error() -> None:
    assert (
        run(INSTALL + "import taskiq\nprint(hasattr(taskiq, 'nothing'), getattr(taskiq, '__version__', None))")
        == "False None\n"
    )


def test_installing_twice_is_no_error_and_other_imports_are_left_alone() -> None:
    code = "alias.install()\nimport sys, json\nprint(sum(type(f).__name__ == '_AliasFinder' for f in sys.meta_path))"
    assert run(INSTALL + code) == "1\n"


def test_it_refuses_when_the_real_one_is_there_already() -> None:
    code = """
import sys, types
sys.modules["taskiq"] = types.ModuleType("taskiq")
import taskiq_core.taskiq_alias as alias
try:
    alias.install()
except Exception as error:
    print(type(error).__name__, error)
"""
    assert run(code).startswith("ConfigurationError The real taskiq is imported already")


PLUGINS = {
    "taskiq_redis": "RedisStreamBroker('redis://localhost')",
    "taskiq_nats": "PullBasedJetStreamBroker('nats://localhost')",
    "taskiq_aio_pika": "AioPikaBroker('amqp://localhost')",
    "taskiq_pipelines": "PipelineMiddleware()",
}


@pytest.mark.parametrize("plugin", PLUGINS)
def test_published_plugins_run_on_it(plugin: str) -> None:
    """Where they are installed; they need no taskiq beside them."""
    if importlib.util.find_spec(plugin) is None:
        pytest.skip(f"{plugin} is not installed")
    code = f"""
import {plugin}
import taskiq
plugin = {plugin}.{PLUGINS[plugin]}
assert isinstance(plugin, (taskiq.AsyncBroker, taskiq.TaskiqMiddleware))
"""
    run(INSTALL + code)
