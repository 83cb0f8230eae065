"""A reader who types what the pages say gets what they say: real files, real workers, the same output.

In the order of the page: a block with a `title` becomes a file; in a `console` block every line after `$ ` is a command and
the lines below it are what it prints. A worker or scheduler runs until the page ends; every other command, and a worker with
`--burst`, must succeed. Python without a title is an excerpt and has to compile. A server that a page names is started for it,
at an address of its own.
"""

import ast
import shlex
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from support.page_servers import addresses_for
from support.pages import PAGES, Block, blocks_of, page_id
from support.processes import RunningProcess, running
from support.server_programs import REDIS

ENDLESS = ("taskiq worker", "taskiq scheduler")
NOT_HERE = ("git clone", "make", "pip install", "cd ")
"""How commands begin that set up a machine; the environment of the tests stands in for them."""


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_page_does_what_it_says(page: Path, tmp_path: Path) -> None:
    with ExitStack() as stack:
        endless: list[RunningProcess] = []
        for block in _with_servers(blocks_of(page), tmp_path, stack):
            if block.title:
                target = tmp_path / block.title
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(block.text)
            elif block.language == "console":
                for command, promised in _commands(block):
                    process = stack.enter_context(running(*_words(command), cwd=tmp_path))
                    if command.startswith(ENDLESS) and "--burst" not in command:
                        endless.append(process)
                    else:
                        _check(process, promised, endless)
            elif block.language == "python":
                compile(block.text, page_id(page), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        for process in endless:
            assert process.returncode is None, process.report
            assert process.stop() == 0, process.report


def _with_servers(blocks: list[Block], folder: Path, stack: ExitStack) -> list[Block]:
    """The blocks, with the addresses of real servers."""
    addresses = addresses_for("".join(block.text for block in blocks), folder, stack)
    for named, real in addresses.items():
        blocks = [replace(block, text=block.text.replace(named, real)) for block in blocks]
    return blocks


def _words(command: str) -> list[str]:
    program, *arguments = shlex.split(command)
    return [str(REDIS.beside("redis-cli", "valkey-cli")) if program == "redis-cli" else program, *arguments]


def _commands(block: Block) -> list[tuple[str, list[str]]]:
    """The commands of a block, each with the lines that it is to print."""
    commands: list[tuple[str, list[str]]] = []
    for line in block.text.splitlines():
        if line.startswith("$ "):
            commands.append((line.removeprefix("$ ").partition("  #")[0].strip(), []))
        else:
            assert commands, f"a console block must begin with a command, not with {line!r}"
            commands[-1][1].append(line)
    return [(command, promised) for command, promised in commands if not command.startswith(NOT_HERE)]


def _check(process: RunningProcess, promised: list[str], endless: list[RunningProcess]) -> None:
    code = process.wait(120)
    missing = [line for line in promised if line.strip() not in ("", *process.lines)]
    reports = "\n\n".join(one.report for one in (*endless, process))
    assert (code, missing) == (0, []), f"{reports}\n\nThe page promises success and:\n" + "\n".join(promised)
