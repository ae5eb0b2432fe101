"""Aura receives service-desk tickets, classifies them, notifies the right people, and loses none."""

#: Version of Aura; setup.cfg reads it here.
VERSION = "0.2.0"
