"""Generates the reference pages of settings and command line: `python -m tests.reference_pages`.

tests/unit/docs/test_reference.py compares the pages with what this module generates.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import typer.main

from aura import settings
from aura.cli import app

REFERENCE = Path(__file__).parents[1] / "docs" / "reference"


def cli() -> str:
    """Return the page of the command line, from the signatures of the commands."""
    root: Any = typer.main.get_command(app)
    lines = [
        "# Command line",
        "",
        "For everybody who uses the command `aura`. This page is generated from the commands (`make reference`).",
        "",
        "Data goes to standard output, everything else to standard error. Commands with `--format` print JSON for",
        "programs. The exit code is 0, or 1 with one line on standard error that says what to correct.",
        "`aura --version` prints the version.",
        "",
        "| command | |",
        "| --- | --- |",
    ]
    for name, command in _commands(root):
        lines.append(f"| [`aura {name}`](#{_anchor(f'aura {name}')}) | {_first_line(command)} |")
    for name, command in _commands(root):
        lines += ["", f"## aura {name}", ""]
        if hasattr(command, "commands"):
            lines += [_prose(command.help), ""]
            for inner_name, inner_command in _commands(command):
                lines += [
                    f"### aura {name} {inner_name}",
                    "",
                    *_describe(inner_command, f"aura {name} {inner_name}"),
                    "",
                ]
            lines.pop()
        else:
            lines += _describe(command, f"aura {name}")
    return "\n".join(lines) + "\n"


def _commands(group: Any) -> Iterator[tuple[str, Any]]:
    # in the order in which `aura --help` lists them
    yield from ((name, command) for name, command in group.commands.items() if not command.hidden)


def _describe(command: Any, path: str) -> Iterator[str]:
    arguments = [each for each in command.params if each.param_type_name == "argument"]
    options = [each for each in command.params if each.param_type_name == "option" and not each.hidden]
    usage = " ".join([path, *(["[OPTIONS]"] if options else []), *map(_argument, arguments)])
    yield from ["```text", usage, "```", "", _prose(command.help)]
    rows = [(f"`{_argument(each)}`", getattr(each, "help", None) or "", "") for each in arguments]
    for each in options:
        names = ", ".join(f"`{name}`" for name in (*each.opts, *each.secondary_opts))
        value = "" if each.is_flag else f" `{_metavar(each)}`"
        rows.append((names + value, each.help or "", _default(each)))
    if rows:
        yield from ["", "| argument, option | meaning | default |", "| --- | --- | --- |"]
        yield from (f"| {name} | {_cell(meaning)} | {default} |" for name, meaning, default in rows)


def _argument(argument: Any) -> str:
    name = argument.metavar or str(argument.name).upper()
    name += "..." if argument.nargs == -1 or argument.multiple else ""
    return name if argument.required else f"[{name}]"


def _metavar(option: Any) -> str:
    """Return what stands for the value of an option: its choices, or its type."""
    if option.metavar:
        return str(option.metavar)
    annotation = option.type_descriptor.annotation
    choices = get_args(annotation)
    if get_origin(annotation) is Literal:
        return " / ".join(map(str, choices))
    return {int: "NUMBER", float: "NUMBER", Path: "FILE"}.get(annotation, "TEXT")


def _default(option: Any) -> str:
    value = option.default
    if option.required:
        return "required"
    if callable(value) or value in (None, "", False, (), []):
        return ""
    return f"`{value}`"


def _prose(text: str | None) -> str:
    """Return a help text as Markdown: lines that are commands become code."""
    paragraphs = re.split(r"\n\s*\n", (text or "").strip())
    return "\n\n".join(_example(each) or " ".join(each.split()) for each in paragraphs)


def _example(paragraph: str) -> str:
    """Return a paragraph that is a command, with or without "Example:", as a code block; empty for another one."""
    found = re.fullmatch(r"(?:Examples?:\s*)?(aura .*)", paragraph, re.DOTALL)
    lines = found[1].splitlines() if found else []
    return "\n".join(["```text", *(line.strip() for line in lines), "```"]) if lines else ""


def _first_line(command: Any) -> str:
    return _cell(" ".join((command.help or "").strip().split("\n\n")[0].split()))


def _cell(text: str) -> str:
    return text.replace("|", r"\|").replace("\n", " ")


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def pages() -> dict[Path, str]:
    """Return the generated pages by path."""
    return {REFERENCE / "cli.md": cli(), REFERENCE / "settings.md": settings.markdown()}


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text)
