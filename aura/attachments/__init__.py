"""Attachments: names, content types, storage of the content, and the text in it.

names.py          safe file names
content_types.py  recognises the type of a file by its content
storage/          the content in a folder or an S3-compatible store
content.py        reads the content, wherever it is stored
text.py           the beginning of the text in a file; pdf.py, of a PDF
"""
