"""A reader who types what the pages say gets what they say: real files, real workers, the same output.

In the order of the page: a block with a `title` becomes a file; in a `console` block every line after `$ ` is a command and
the lines below it are what it prints. A worker or scheduler runs until the page ends, every other command must succeed.
Python without a title is an excerpt and has to compile.
"""

import ast
import shlex
from contextlib import ExitStack
from pathlib import Path

import pytest
from support.pages import PAGES, Block, blocks_of, page_id
from support.processes import RunningProcess, running

ENDLESS = ("taskiq worker", "taskiq scheduler")
NOT_HERE = ("git clone", "make", "pip install", "cd ")
"""How commands begin that set up a machine; the environment of the tests stands in for them."""


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_page_does_what_it_says(page: Path, tmp_path: Path) -> None:
    with ExitStack() as processes:
        endless: list[RunningProcess] = []
        for block in blocks_of(page):
            if block.title:
                target = tmp_path / block.title
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(block.text)
            elif block.language == "console":
                for command, output in _commands(block):
                    endless += _run(command, output, tmp_path, processes)
            elif block.language == "python":
                compile(block.text, page_id(page), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        for process in endless:
            assert process.returncode is None, process.output
            assert process.stop() == 0, process.output


def _commands(block: Block) -> list[tuple[str, list[str]]]:
    commands: list[tuple[str, list[str]]] = []
    for line in block.text.splitlines():
        if line.startswith("$ "):
            commands.append((line.removeprefix("$ ").partition("  #")[0].strip(), []))
        else:
            assert commands, f"a console block must begin with a command, not with {line!r}"
            commands[-1][1].append(line)
    return commands


def _run(command: str, output: list[str], folder: Path, processes: ExitStack) -> list[RunningProcess]:
    """Run a command, or skip it if it sets up a machine; returns it if it is to go on running."""
    if command.startswith(NOT_HERE):
        return []
    process = processes.enter_context(running(*shlex.split(command), cwd=folder))
    if command.startswith(ENDLESS):
        return [process]
    assert process.wait(120) == 0, process.output
    missing = [line for line in output if line.strip() and line.strip() not in process.lines]
    assert not missing, f"$ {command}\n{process.output}\n\nbut the page promises:\n" + "\n".join(missing)
    return []
