"""Prints the beginning of the text of the PDF on standard input: `python -m aura.attachments.pdf CHARACTERS`.

A process of its own, because a PDF of a few bytes can ask for gigabytes or hours: the kernel enforces the limits.
"""

from __future__ import annotations

import io
import resource
import sys

#: Bytes of memory, seconds of processor time, and pages.
MEMORY, PROCESSOR_SECONDS, PAGES = 1_000_000_000, 5, 10


def extract(content: bytes, characters: int) -> str:
    """Return the beginning of the text. Raises what pypdf raises for a damaged file."""
    from pypdf import PdfReader

    text = ""
    for number, page in enumerate(PdfReader(io.BytesIO(content), strict=False).pages):
        if number >= PAGES or len(text) >= characters:
            break
        text = f"{text}\n{page.extract_text()}".lstrip("\n")
    return text[:characters]


def main() -> int:
    """Limit this process, then extract. Returns the exit code."""
    for limit, most in ((resource.RLIMIT_AS, MEMORY), (resource.RLIMIT_CPU, PROCESSOR_SECONDS)):
        resource.setrlimit(limit, (most, most))
    try:
        text = extract(sys.stdin.buffer.read(), int(sys.argv[1]))
    except Exception as error:  # pypdf raises many types, MemoryError and RecursionError among them
        print(type(error).__name__, file=sys.stderr)  # its message may quote the file
        return 1
    sys.stdout.buffer.write(text.encode("utf-8", "replace"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
