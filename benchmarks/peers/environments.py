"""An environment for each peer, kept between runs."""

import subprocess
import venv
from collections.abc import Sequence
from pathlib import Path

HIREDIS, UVLOOP = "hiredis==3.5.0", "uvloop==0.23.0"
CELERY = ("celery==5.7.0", "redis==8.1.0", "packaging", HIREDIS)
DRAMATIQ = ("dramatiq==2.2.1", "pika==1.4.4", "redis==8.1.0", HIREDIS)
"""For every server, so that one environment does for all."""

_FOLDER = Path(".venv-peers")


def interpreter(requirements: Sequence[str]) -> Path:
    """The Python of an environment that has them; made when there is none. The first requirement names it."""
    python = _FOLDER / requirements[0] / "bin" / "python"
    made = python.parents[1] / ".installed"
    if not made.exists() or made.read_text() != "\n".join(requirements):
        venv.create(python.parents[1], with_pip=True, clear=True)
        command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*command, *requirements], check=True)
        made.write_text("\n".join(requirements))
    return python.absolute()
