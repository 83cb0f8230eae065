"""RabbitMQ's own program files without its plugins, which double the time that it takes to start."""

import re
import shutil
from pathlib import Path


def lean_home(program: Path, home: Path) -> Path:
    """Make the directory `home` with the scripts of an installed `rabbitmq-server` and the Erlang applications that it needs.

    Returns the `rabbitmq-server` in it. Erlang looks into every directory of applications for each of 700 modules.
    """
    scripts = program.resolve().parent
    shutil.copytree(scripts, home / "sbin")
    (home / "plugins").mkdir()
    for application in _needed(scripts.parent / "plugins"):
        (home / "plugins" / application.name).symlink_to(application)
    return home / "sbin" / program.name


def _needed(plugins: Path) -> list[Path]:
    """The directories of the application `rabbit` and of all that it depends on; others belong to Erlang itself."""
    folders = {folder.name.partition("-")[0]: folder for folder in plugins.iterdir()}
    names = ["rabbit"]
    for name in names:
        description = (folders[name] / "ebin" / f"{name}.app").read_text()
        if found := re.search(r"{applications,\s*\[(.*?)]}", description, re.DOTALL):
            names += [other for other in re.findall(r"\w+", found[1]) if other in folders and other not in names]
    return [folders[name] for name in names]
