"""The command `aura`, also as `python -m aura`. `aura --version` imports nothing but the version."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command; see `aura.cli.main`."""
    if sys.argv[1:] == ["--version"]:
        from aura import VERSION

        print(f"aura {VERSION}")
        return
    from aura.cli import main as run

    run()


if __name__ == "__main__":
    main()
