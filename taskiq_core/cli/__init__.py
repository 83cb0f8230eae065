"""The command line. A command's module is imported only when that command runs: the supervisor stays small for ever."""

import importlib
from typing import Final

import click

COMMANDS: Final = {
    "db": "taskiq_core.cli.db:db",
    "dead": "taskiq_core.cli.dead:dead",
    "limits": "taskiq_core.cli.limits:limits",
    "migrate": "taskiq_core.cli.migrate:migrate",
    "queues": "taskiq_core.cli.queues:queues",
    "tasks": "taskiq_core.cli.tasks:tasks",
    "worker": "taskiq_core.cli.worker:worker",
    "relay": "taskiq_core.cli.relay:relay",
    "scheduler": "taskiq_core.cli.scheduler:scheduler",
}


class LazyGroup(click.Group):
    """A group whose commands are named by `module:attribute`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        target = COMMANDS.get(cmd_name)
        if target is None:
            return None
        module, _, attribute = target.partition(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command


@click.group(cls=LazyGroup, context_settings={"auto_envvar_prefix": "TASKIQ", "help_option_names": ["-h", "--help"]})
@click.version_option(package_name="taskiq-core", prog_name="taskiq")
def main() -> None:
    """Run workers and schedulers of a taskiq_core application, and look after its queues."""


__all__ = ["main"]
