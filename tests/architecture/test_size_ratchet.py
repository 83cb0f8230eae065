"""Files of at most 300 lines, functions of at most 40. What is longer stands here with its exact size and may only shrink."""

import ast
from collections.abc import Iterator
from pathlib import Path

from source_tree import ROOT, python_files

FILE_LIMIT = 300
FUNCTION_LIMIT = 40

LONG_FILES = {
    "tests/acceptance/test_cli_worker.py": 322,
}
LONG_FUNCTIONS: dict[str, int] = {}
"""`path:qualified.name` → lines, from `def` to its last line."""

FILES = python_files("taskiq_core", "brokers", "result_backends", "schedule_sources", "tests", "benchmarks", "docs")


def test_files_are_short() -> None:
    sizes = {path.relative_to(ROOT).as_posix(): len(path.read_bytes().splitlines()) for path in FILES}
    assert {name: size for name, size in sizes.items() if size > FILE_LIMIT} == LONG_FILES


def test_functions_are_short() -> None:
    sizes = {name: size for path in FILES for name, size in _functions(path)}
    assert {name: size for name, size in sizes.items() if size > FUNCTION_LIMIT} == LONG_FUNCTIONS


def _functions(path: Path) -> Iterator[tuple[str, int]]:
    def walk(node: ast.AST, prefix: str) -> Iterator[tuple[str, int]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                name = f"{prefix}{child.name}"
                if not isinstance(child, ast.ClassDef):
                    yield name, (child.end_lineno or child.lineno) - child.lineno + 1
                yield from walk(child, f"{name}.")
            else:
                yield from walk(child, prefix)

    yield from walk(ast.parse(path.read_bytes()), f"{path.relative_to(ROOT).as_posix()}:")
