"""Every benchmark runs; what it measures is nobody's business here."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from support.server_programs import NATS, POSTGRES, RABBITMQ, REDIS, ServerProgram

ROOT = Path(__file__).parents[2]
BUDGET = ROOT / "benchmarks" / "budget.toml"
KINDS: dict[str, tuple[ServerProgram, ...]] = {
    "core": (),
    "sqlite": (),
    "redis": (REDIS,),
    "postgres": (POSTGRES,),
    "nats": (NATS,),
    "rabbitmq": (RABBITMQ, REDIS),
    "limits": (REDIS,),
}
"""What benchmarks' names begin with, and the servers that those need."""


def run_benchmarks(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "benchmarks", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_every_benchmark_runs_and_every_limit_has_its_figure(kind: str, tmp_path: Path) -> None:
    for program in KINDS[kind]:
        program.path()
    names = [name for name in run_benchmarks("--list").stdout.split() if name.startswith(f"{kind}.")]
    found = tmp_path / "figures.json"
    run = run_benchmarks("--tiny", "--only", f"{kind}.", "--json", str(found))
    assert run.returncode == 0, run.stderr
    figures = json.loads(found.read_text())["figures"]
    assert names
    assert [name for name in names if not any(figure.startswith(f"{name}.") for figure in figures)] == []
    limits = tomllib.loads(BUDGET.read_text())
    assert {name for name in {*limits["floors"], *limits["goals"]} if name.startswith(f"{kind}.")} <= figures.keys()
    assert all(figure["median"] >= 0 for figure in figures.values())


def test_every_benchmark_and_every_limit_is_of_a_kind() -> None:
    limits = tomllib.loads(BUDGET.read_text())
    names = [*run_benchmarks("--list").stdout.split(), *limits["floors"], *limits["goals"], *limits["peers"]]
    assert [name for name in names if name.partition(".")[0] not in KINDS] == []


def test_only_ratios_are_enforced() -> None:
    floors = tomllib.loads(BUDGET.read_text())["floors"]
    assert [name for name in floors if not name.endswith(("of_raw", "of_plain", "per_batch", "growth", "flat"))] == []


def test_a_name_that_nothing_has_is_an_error() -> None:
    run = run_benchmarks("--only", "nothing")
    assert run.returncode == 2
    assert "--list" in run.stderr
