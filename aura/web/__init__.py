"""The HTTP side of Aura."""
