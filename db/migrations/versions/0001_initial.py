"""Create all tables."""

from __future__ import annotations

from alembic import op

from db.models import Base

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

#: Trigrams find misspelled words; without the extension, similar tickets are found by whole words.
TRIGRAMS = """
DO $$ BEGIN
    CREATE EXTENSION IF NOT EXISTS pg_trgm;
    CREATE INDEX ix_resolved_texts_title ON resolved_texts USING gin (title gin_trgm_ops);
EXCEPTION WHEN insufficient_privilege OR undefined_file OR feature_not_supported OR undefined_object THEN
    RAISE NOTICE 'without pg_trgm, similar tickets are found by whole words alone';
END $$
"""


def _text_search() -> None:
    if op.get_context().dialect.name == "sqlite":
        op.execute("CREATE VIRTUAL TABLE resolved_texts USING fts5(words, tokenize = 'unicode61 remove_diacritics 0')")
        # how many tickets each word is in
        op.execute("CREATE VIRTUAL TABLE resolved_texts_words USING fts5vocab(resolved_texts, row)")
        return
    op.execute(
        "CREATE TABLE resolved_texts (ticket_id bigint PRIMARY KEY REFERENCES tickets (id) ON DELETE CASCADE, "
        "title text NOT NULL, words tsvector NOT NULL)"
    )
    op.execute("CREATE INDEX ix_resolved_texts_words ON resolved_texts USING gin (words)")
    op.execute(TRIGRAMS)


def upgrade() -> None:
    Base.metadata.create_all(op.get_bind())
    _text_search()


def downgrade() -> None:
    op.execute("DROP TABLE IF EXISTS resolved_texts_words")
    op.execute("DROP TABLE resolved_texts")
    Base.metadata.drop_all(op.get_bind())
