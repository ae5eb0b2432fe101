"""Files for the tests of attachments: pictures, PDFs, and mails that contain them."""

from __future__ import annotations

import struct
import zlib
from email.message import EmailMessage

HTML = b"<!DOCTYPE html><html><script>alert(1)</script></html>"
SVG = b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>'
LOG = b"2026-11-30 08:00:01 ERROR tunnel is down\n" * 20


def png(width: int = 2, height: int = 1, claimed: tuple[int, int] | None = None) -> bytes:
    """Return a red picture; `claimed` are other dimensions in its header, as in a decompression bomb."""
    rows = (b"\0" + b"\xff\0\0" * width) * height
    header = struct.pack(">IIBBBBB", *(claimed or (width, height)), 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def pdf(*pages: str) -> bytes:
    """Return a PDF with a line of text on each page."""
    kids = " ".join(f"{4 + 2 * number} 0 R" for number in range(len(pages)))
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for number, text in enumerate(pages):
        content = f"BT /F1 12 Tf 72 720 Td ({text}) Tj ET"
        objects += [
            f"<< /Type /Page /Parent 2 0 R /Resources << /Font << /F1 3 0 R >> >> /Contents {5 + 2 * number} 0 R >>",
            f"<< /Length {len(content)} >>\nstream\n{content}\nendstream",
        ]
    parts, places = ["%PDF-1.4\n"], []
    for number, text in enumerate(objects, 1):
        places.append(sum(map(len, parts)))
        parts.append(f"{number} 0 obj\n{text}\nendobj\n")
    table = sum(map(len, parts))
    parts.append(f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n")
    parts += [f"{place:010} 00000 n \n" for place in places]
    parts.append(f"trailer << /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{table}\n%%EOF\n")
    return "".join(parts).encode("latin-1")


def mail_with(*files: tuple[str, bytes], inline: tuple[tuple[str, bytes], ...] = (), **headers: str) -> bytes:
    """Return a mail of Ada with attached files, and pictures within its HTML; header names have _ for -."""
    message = EmailMessage()
    lines = {"From": "Ada <ada@example.com>", "Subject": "VPN drops", "Message_ID": f"<{len(files)}-files@example.com>"}
    for name, value in (lines | headers).items():
        message[name.replace("_", "-")] = value
    message.set_content("See the files.")
    for name, content in files:
        message.add_attachment(content, maintype="application", subtype="octet-stream", filename=name)
    for number, (name, content) in enumerate(inline):
        message.add_attachment(
            content, maintype="image", subtype="png", filename=name, disposition="inline", cid=f"<{number}@x>"
        )
    return message.as_bytes()
