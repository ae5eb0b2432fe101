"""Code blocks of the documentation, and the shell script that runs those of one page in order.

A block in `sh`, `bash`, `console` or `python` is run. A comment in the line above excludes it and names the reason:
`<!-- not run: needs a Kubernetes cluster -->`. A page with `<!-- runs on: services -->` is run on PostgreSQL and RabbitMQ.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
#: Languages that are run.
LANGUAGES = ("sh", "bash", "console", "python")

_BLOCK = re.compile(
    r"(?:^ *<!-- (?P<comment>not run[^:]*: .+?) -->\n)?^(?P<indent> *)```(?P<language>\w+)\n(?P<code>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)
#: curl fails on a status that is no success; a stream, which never ends, is read for two seconds.
_PRELUDE = r"""
set -euo pipefail
curl() {
    case " $* " in *" -sSN "*) command curl --max-time 2 "$@" || [ $? = 28 ]; return ;; esac
    command curl --fail-with-body --write-out '%{stderr}HTTP %{http_code}\n' "$@"
}
make() { command make -C "$REPOSITORY" "$@"; }
"""


@dataclass(frozen=True, slots=True)
class Block:
    """A code block with its place and, if it is not run, the reason."""

    page: str
    line: int
    language: str
    code: str
    not_run: str = ""


def pages() -> list[Path]:
    """Return README.md and every page of docs/."""
    return [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]


def name_of(page: Path) -> str:
    """Return a page's path below docs/, or README.md."""
    return str(page.relative_to(DOCS if DOCS in page.parents else ROOT))


def blocks(page: Path, *languages: str) -> list[Block]:
    """Return the blocks of a page in these languages, by default in all that are run."""
    return [each for each in parse(name_of(page), page.read_text()) if each.language in (languages or LANGUAGES)]


def parse(name: str, text: str) -> list[Block]:
    """Return every code block of a page's text."""
    return [
        Block(
            page=name,
            line=text.count("\n", 0, each.start("code")),
            language=each["language"],
            code=textwrap.dedent(each["code"]),
            not_run=(each["comment"] or "").partition(": ")[2],
        )
        for each in _BLOCK.finditer(text)
    ]


def needs_services(page: Path) -> bool:
    """Return whether a page is run on PostgreSQL and RabbitMQ instead of embedded."""
    return "<!-- runs on: services -->" in page.read_text()


def script(chosen: Sequence[Block], port: int) -> str:
    """Return a bash script that runs blocks in order, in one shell; before each it prints where the block is."""
    parts = [_PRELUDE]
    for block in chosen:
        parts += [f"echo '--- {block.page}:{block.line}' >&2", *_commands(block)]
    return "\n".join(parts).replace("127.0.0.1:8000", f"127.0.0.1:{port}")


def _commands(block: Block) -> Iterator[str]:
    if block.language == "python":
        name = re.match(r"# ([\w/]+\.py)\n", block.code)
        target = name[1] if name else "block.py"
        yield f"cat > {target} <<'END_OF_BLOCK'\n{block.code}END_OF_BLOCK\npython {target}"
    elif block.language == "console":
        yield from console_commands(block.code)
    else:
        yield block.code


def console_commands(code: str) -> Iterator[str]:
    """Yield the commands of a `console` block, without prompts and output."""
    lines = iter(code.splitlines())
    for line in lines:
        if line.startswith("$ "):
            command = [line[2:]]
            while command[-1].endswith("\\"):
                command.append(next(lines))
            yield "\n".join(command)
