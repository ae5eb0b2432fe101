"""`python -m aura` is the command `aura`."""

from aura.cli import main

main()
