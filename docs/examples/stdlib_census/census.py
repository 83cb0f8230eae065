"""Counting one module, and finding them all. Nothing in here knows of tasks."""

import ast
import sysconfig
from dataclasses import dataclass
from pathlib import Path

STDLIB = Path(sysconfig.get_path("stdlib"))
NOT_STDLIB = {"site-packages", "dist-packages", "__pycache__"}


@dataclass
class ModuleCensus:
    """What was found in one file. `problem` says why it does not parse; then the other counts are 0."""

    path: str
    size: int
    lines: int
    functions: int = 0
    classes: int = 0
    imports: frozenset[str] = frozenset()
    problem: str | None = None


def find_modules(folder: Path) -> list[str]:
    """Every `.py` file below a folder, but for what was installed on top of the standard library."""
    return sorted(str(path) for path in folder.rglob("*.py") if not NOT_STDLIB.intersection(path.relative_to(folder).parts))


def take_census(path: str) -> ModuleCensus:
    """Parse one file and count. Files that do not parse are kept for tests in the standard library: they count as such."""
    source = Path(path).read_bytes()
    found = ModuleCensus(path, size=len(source), lines=source.count(b"\n"))
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        found.problem = f"{type(error).__name__}: {getattr(error, 'msg', error)}"
        return found
    imports: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                found.functions += 1
            case ast.ClassDef():
                found.classes += 1
            case ast.Import(names=names):
                imports.update(alias.name.partition(".")[0] for alias in names)
            case ast.ImportFrom(module=str(module), level=0):
                imports.add(module.partition(".")[0])
            case _:
                pass
    found.imports = frozenset(imports)
    return found
