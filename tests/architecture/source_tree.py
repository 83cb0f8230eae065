"""What the architecture tests read: the repository's modules and what each of them imports."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PLUGIN_KINDS = ("brokers", "result_backends", "schedule_sources")


@dataclass(frozen=True)
class Import:
    """One imported module, wherever the statement stands: type-only imports and those inside functions count."""

    importer: str
    imported: str
    where: str


def python_files(*tops: str) -> list[Path]:
    """Every Python file below these top-level folders."""
    return sorted(path for top in tops for path in (ROOT / top).rglob("*.py") if "__pycache__" not in path.parts)


def plugin_folders() -> list[Path]:
    """Every plugin distribution: the folders such as `brokers/sqlite`."""
    return sorted(manifest.parent for kind in PLUGIN_KINDS for manifest in (ROOT / kind).glob("*/pyproject.toml"))


def modules_in(package: Path) -> dict[str, Path]:
    """Dotted name → file, for a package folder and everything below it."""
    modules: dict[str, Path] = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package.parent).with_suffix("").parts
        modules[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return modules


@cache
def imports_of(package: Path) -> tuple[Import, ...]:
    """All imports of all modules in a package."""
    modules = modules_in(package)
    return tuple(found for name, path in modules.items() for found in _imports(name, path, modules))


def _imports(name: str, path: Path, modules: dict[str, Path]) -> Iterator[Import]:
    parent = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                base = ".".join([*parent.split(".")[: len(parent.split(".")) - node.level + 1], *filter(None, [base])])
            submodules = {f"{base}.{alias.name}" for alias in node.names} & modules.keys()
            names_left = len(node.names) > len(submodules)
            targets = [*sorted(submodules), *([base] if names_left else [])]
        else:
            continue
        for target in targets:
            yield Import(name, target, f"{path.relative_to(ROOT)}:{node.lineno}")
