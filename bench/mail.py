"""`python -m bench.mail`: mails per second of `aura mail import` from a Maildir, and whether its memory stays flat.

Writes mails of 20 kB into a Maildir in a temporary folder, twenty of each sender, a tenth of them replies and a hundredth
duplicates, and imports them with the command as a subprocess into a new SQLite database, or with --postgresql into a
private server. Prints mails/s, CPU and the peak RSS in the first and in the last tenth. `--source DIR` measures another checkout.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

ROOT = Path(__file__).parent.parent
#: Bytes of a mail; mails of each sender, below AURA_MAIL_SENDER_LIMIT.
SIZE, PER_SENDER = 20_000, 20
WORDS = (
    "printer",
    "drucker",
    "vpn",
    "password",
    "the",
    "is",
    "not",
    "since",
    "monday",
    "floor",
    "badge",
    "please",
    "error",
)


def write_maildir(folder: Path, count: int) -> None:
    """Write mails, every tenth of them a reply to an earlier one, every hundredth a duplicate."""
    for name in ("new", "cur", "tmp"):
        (folder / name).mkdir(parents=True)
    words = random.Random(7)
    text = "\n".join(" ".join(words.choices(WORDS, k=12)) for _ in range(SIZE // 60))
    for number in range(count):
        same = number - 1 if number % 100 == 99 else number
        sender = f"person{same // PER_SENDER}@example.com"
        head = f"From: Person {same // PER_SENDER} <{sender}>\nTo: desk@example.org\nSubject: Mail {same}\n"
        head += f"Message-ID: <bench-{same}@example.com>\nDate: Mon, 30 Nov 2026 08:00:00 +0000\n"
        if same % 10 == 9:
            head += f"In-Reply-To: <bench-{same - 5}@example.com>\n"
        body = f"{head}MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n\nMail {same}\n{text}"
        (folder / "new" / f"{number:09d}.bench").write_text(body[:SIZE], "utf-8")


@contextmanager
def database(folder: Path, postgresql: bool) -> Iterator[str]:
    """Yield the URL of an empty database."""
    if not postgresql:
        yield f"sqlite:///{folder}/aura.db"
        return
    from bench.services import DurablePostgreSQL

    server = DurablePostgreSQL()
    try:
        yield server.start().create_database()
    finally:
        server.close()


@dataclass(frozen=True, slots=True)
class Measured:
    """Mails per second, CPU seconds of the command, and its peak RSS in the first and in the last tenth, in bytes."""

    rate: float
    cpu: float
    first: int
    last: int


def measure(maildir: Path, count: int, env: dict[str, str], source: Path) -> Measured:
    """Import the mails with the command of a checkout."""
    command = [sys.executable, "-m", "aura", "mail", "import", str(maildir), "--once"]
    start = time.perf_counter()
    process = subprocess.Popen(command, env=env, cwd=source, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    watched = psutil.Process(process.pid)
    peaks, done, tenth, cpu = [0] * 10, 0, max(1, count // 10), 0.0
    for done, _line in enumerate(process.stdout, 1):
        if done % 50 == 0:
            at = min(9, (done - 1) // tenth)
            peaks[at] = max(peaks[at], watched.memory_info().rss)
            cpu = sum(watched.cpu_times()[:2])
    seconds = time.perf_counter() - start
    if process.wait() or done != count:
        sys.exit(f"bench.mail: exit code {process.returncode} after {done} of {count} mails")
    return Measured(count / seconds, cpu, peaks[0], peaks[-1])


def main() -> int:
    """Measure once. Returns the exit code: 1 when the last tenth took more than 1.3 times the memory of the first."""
    parser = argparse.ArgumentParser(prog="python -m bench.mail", description=__doc__)
    parser.add_argument("--mails", type=int, default=20_000)
    parser.add_argument("--postgresql", action="store_true", help="a private PostgreSQL instead of SQLite")
    parser.add_argument("--source", type=Path, default=ROOT, help="checkout whose `aura` is measured")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="aura-bench-") as name, database(Path(name), options.postgresql) as url:
        folder = Path(name)
        env = {
            **os.environ,
            "AURA_ENV": "development",
            "DATABASE_URL": url,
            "LOG_LEVEL": "ERROR",
            "PYTHONPATH": str(options.source),
        }
        subprocess.run([sys.executable, "-m", "aura", "migrate"], env=env, cwd=options.source, check=True)
        write_maildir(folder / "Maildir", options.mails)
        found = measure(folder / "Maildir", options.mails, env, options.source)
    kind = "PostgreSQL" if options.postgresql else "SQLite"
    cpu = found.cpu / options.mails * 1000
    print(f"{options.mails:,} mails of {SIZE // 1000} kB, {kind}: {found.rate:,.0f} mails/s, {cpu:.1f} ms CPU a mail")
    print(f"peak RSS: {found.first / 1e6:.0f} MB in the first tenth, {found.last / 1e6:.0f} MB in the last")
    return int(found.last > 1.3 * found.first)


if __name__ == "__main__":
    sys.exit(main())
