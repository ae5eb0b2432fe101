"""Text index of resolved tickets: FTS5 on SQLite, tsvector and pg_trgm on PostgreSQL; see `db.similar`."""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

#: Trigrams match misspelled titles. Without the extension, similar tickets are found by whole words only.
TRIGRAMS = """
DO $$ BEGIN
    CREATE EXTENSION IF NOT EXISTS pg_trgm;
    CREATE INDEX ix_resolved_texts_title ON resolved_texts USING gin (title gin_trgm_ops);
EXCEPTION WHEN insufficient_privilege OR undefined_file OR feature_not_supported OR undefined_object THEN
    RAISE NOTICE 'pg_trgm is not available: similar tickets are found by whole words only';
END $$
"""


def upgrade() -> None:
    if op.get_context().dialect.name == "sqlite":
        op.execute("CREATE VIRTUAL TABLE resolved_texts USING fts5(words, tokenize = 'unicode61 remove_diacritics 0')")
        # the number of tickets that contain each word
        op.execute("CREATE VIRTUAL TABLE resolved_texts_words USING fts5vocab(resolved_texts, row)")
        return
    op.execute(
        "CREATE TABLE resolved_texts (ticket_id bigint PRIMARY KEY REFERENCES tickets (id) ON DELETE CASCADE, "
        "title text NOT NULL, words tsvector NOT NULL)"
    )
    op.execute("CREATE INDEX ix_resolved_texts_words ON resolved_texts USING gin (words)")
    op.execute(TRIGRAMS)


def downgrade() -> None:
    op.execute("DROP TABLE IF EXISTS resolved_texts_words")
    op.execute("DROP TABLE resolved_texts")
