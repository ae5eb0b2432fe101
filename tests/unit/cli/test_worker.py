"""`aura worker`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.conftest import ROOT

#: Runs the command, and prints the options that Dramatiq got and what is loaded when it starts other processes.
SCRIPT = """
import json, sys
import dramatiq.cli
dramatiq.cli.main = lambda args: print(json.dumps([vars(args), sys.argv, sorted(sys.modules)])) or 3
from aura.cli import main
sys.argv = ["/bin/aura", "worker", *sys.argv[1:]]
main()
"""


def started(tmp_path: Path, *words: str, **variables: str) -> tuple[dict[str, Any], list[str], list[str]]:
    """Return Dramatiq's options, sys.argv, and the modules of the first process."""
    env = os.environ | {"PYTHONPATH": str(ROOT), "AURA_ENV": "development", "LOG_LEVEL": "INFO"} | variables
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT, *words], env=env, cwd=tmp_path, capture_output=True, text=True
    )
    assert result.returncode == 3, result.stderr
    options, argv, modules = json.loads(result.stdout)
    return options, argv, modules


def test_the_worker_command_has_the_options_of_the_settings(tmp_path: Path):
    options, argv, modules = started(tmp_path, WORKER_PROCESSES="3", WORKER_THREADS="5")

    assert (options["broker"], options["processes"], options["threads"], options["queues"]) == ("actors", 3, 5, None)
    assert (options["worker_shutdown_timeout"], options["worker_fork_timeout"]) == (20_000, 60_000)
    assert options["skip_logging"]
    # executable after SIGHUP
    assert argv == [sys.executable, "-m", "aura", "worker"]
    # forked processes would share the worker's id, and prometheus_client reads its folder at its import
    assert not {"aura.jobs.process_state", "prometheus_client", "actors"} & set(modules)


def test_the_options_of_the_worker_command_precede_the_settings(tmp_path: Path):
    words = ("--processes", "1", "--threads", "2", "--queues", "ai.classify", "--queues", "tickets.intake")
    options, argv, _ = started(tmp_path, *words, WORKER_PROCESSES="3")

    assert (options["processes"], options["threads"]) == (1, 2)
    assert options["queues"] == ["ai.classify", "tickets.intake"]
    assert argv[4:] == list(words)


def test_reap_collects_the_children_that_have_ended():
    # a child of a process of its own: this one has others
    script = "import os, aura.cli.worker as w; pid = os.fork() or os._exit(0); w.reap(); os.waitpid(pid, 0)"
    result = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True)

    assert "ChildProcessError" in result.stderr
