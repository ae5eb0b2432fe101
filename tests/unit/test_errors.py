"""The tree of exceptions: its drawing, and the values that an error carries."""

from __future__ import annotations

import inspect
import re

import pytest

from aura import errors
from aura.errors import AuraError, JobError, NotFound, Overloaded, TooManyRequests, Unavailable

CLASSES = {
    name: each
    for name, each in vars(errors).items()
    if inspect.isclass(each) and issubclass(each, AuraError) and not name.startswith("_")
}


def test_the_drawing_of_the_tree_names_every_class_below_its_base():
    drawn: dict[str, str] = {}
    parents: list[tuple[int, str]] = []
    for indent, name in re.findall(r"^( {4,})([A-Z]\w+)", errors.__doc__ or "", re.MULTILINE):
        while parents and parents[-1][0] >= len(indent):
            parents.pop()
        drawn[name] = parents[-1][1] if parents else ""
        parents.append((len(indent), name))

    assert drawn.keys() == CLASSES.keys()
    assert [name for name, base in drawn.items() if base and not issubclass(CLASSES[name], CLASSES[base])] == []


def test_a_missing_object_is_a_lookup_error_without_quotes():
    error = NotFound("there is no ticket 7")

    assert isinstance(error, LookupError)
    assert str(error) == "there is no ticket 7"


@pytest.mark.parametrize("kind", [TooManyRequests, Unavailable, Overloaded])
def test_a_temporary_error_carries_the_seconds_until_a_repetition(kind: type[Unavailable]):
    assert (kind("busy").retry_after, kind("busy", retry_after=2.5).retry_after) == (None, 2.5)


def test_the_attributes_of_a_job_error_are_those_of_its_class_unless_given():
    class Final(JobError):
        permanent = True
        pauses_queue = False

    usual, given = Final("x"), Final("x", permanent=False, retry_after=3, pauses_queue=True, counts_attempt=False)
    assert (usual.permanent, usual.retry_after, usual.pauses_queue, usual.counts_attempt) == (True, None, False, True)
    assert (given.permanent, given.retry_after, given.pauses_queue, given.counts_attempt) == (False, 3, True, False)
    assert (JobError.permanent, JobError.counts_attempt) == (False, True), "the class keeps its own"
