"""The wheel, installed outside the checkout: it contains every file that the commands need, and they run in any folder."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from aura import VERSION
from tests.acceptance.conftest import STOP_SECONDS
from tests.conftest import ROOT, environment_variables, wait_until
from tests.services import free_port

PACKAGES = ("actors", "aura", "db", "pipelines")
#: Files that only the checkout needs.
IGNORED = shutil.ignore_patterns("__pycache__", "*.pyc")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from a copy of the sources, so that no file of an earlier build is in it."""
    source, built = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist")
    for name in PACKAGES:
        shutil.copytree(ROOT / name, source / name, ignore=IGNORED)
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    run([sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(built), str(source)], source)
    [wheel] = built.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def venv(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel in a separate virtual environment; the dependencies are those of the running one."""
    venv = tmp_path_factory.mktemp("venv")
    run([sys.executable, "-m", "venv", "--without-pip", str(venv)], venv)
    python = venv / "bin" / "python"
    run([sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", str(wheel)], venv)
    # a path in a .pth file is searched last, and the .pth files there, such as that of an editable Aura, are not read
    [packages] = (venv / "lib").glob("python*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    return venv


def environment(**variables: str) -> dict[str, str]:
    hidden = {*environment_variables(), "PYTHONPATH", "VIRTUAL_ENV"}
    return {name: value for name, value in os.environ.items() if name not in hidden} | variables


def run(command: list[str], folder: Path) -> str:
    """Run a command in a folder. Returns its output; an exit code other than 0 fails the test."""
    ran = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0, f"{command}\n{ran.stdout[-2000:]}{ran.stderr[-4000:]}"
    return ran.stdout


def test_every_file_of_the_packages_is_in_the_wheel(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        packed = set(archive.namelist())
    files = {path for name in PACKAGES for path in (ROOT / name).rglob("*") if path.is_file()}
    needed = {str(path.relative_to(ROOT)) for path in files if path.suffix != ".pyc" and path.suffix != ".md"}
    assert needed - packed == set()
    assert {name.partition("/")[0] for name in packed if ".dist-info" not in name} == set(PACKAGES)


def test_the_installed_command_runs_the_packages_of_the_wheel(venv: Path, tmp_path: Path) -> None:
    aura = str(venv / "bin" / "aura")
    assert run([aura, "--version"], tmp_path) == f"aura {VERSION}\n"
    script = (
        "import aura, actors, db, pipelines; print(aura.__file__, actors.__file__, db.__file__, pipelines.__file__)"
    )
    files = run([str(venv / "bin" / "python"), "-c", script], tmp_path).split()
    assert all(file.startswith(str(venv)) for file in files), files


def test_the_demo_notifies_every_sample_ticket_in_an_empty_folder(venv: Path, tmp_path: Path) -> None:
    result = json.loads(run([str(venv / "bin" / "aura"), "demo", "--format", "json"], tmp_path))
    assert result["tickets"] == result["notified"] > 75
    assert result["dead"] == 0
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def server(venv: Path, tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """`aura run` in an empty folder, and its address."""
    port = str(free_port())
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [str(venv / "bin" / "aura"), "run", "--port", port], cwd=tmp_path, env=environment(), stdout=log, stderr=log
        )
    yield process, f"http://127.0.0.1:{port}"
    process.kill()
    process.wait()


def test_aura_run_serves_pages_with_their_files_and_stops(
    server: tuple[subprocess.Popen[bytes], str], tmp_path: Path
) -> None:
    process, address = server

    def get(path: str) -> str:
        with urllib.request.urlopen(address + path, timeout=10) as answer:
            return str(answer.read().decode())

    def ready() -> bool:
        try:
            return bool(get("/health/ready"))
        except OSError:
            return False

    wait_until(ready, 180, lambda: (tmp_path / "log").read_text()[-3000:])
    assert "<html" in get("/login")
    assert get("/static/charts.js")
    process.send_signal(signal.SIGTERM)
    # uvicorn ends with the signal that stopped it
    assert process.wait(STOP_SECONDS) in (0, -signal.SIGTERM), (tmp_path / "log").read_text()[-3000:]
