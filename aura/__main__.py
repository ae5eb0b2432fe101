"""`python -m aura` is the command `aura`."""

from aura import main

main()
