"""What the search for duplicates stores: local features, compared contents, pairs, and the user's word."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def _content(name: str, table: str) -> list[sa.schema.SchemaItem]:
    return [
        sa.Column(name, sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint([name], ["content.id"], name=op.f(f"fk_{table}_{name}"), ondelete="CASCADE"),
    ]


def upgrade() -> None:
    op.create_table(
        "local_feature",
        *_content("content_id", "local_feature"),
        sa.Column("marks", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("content_id", name=op.f("pk_local_feature")),
    )
    op.create_table(
        "compared",
        sa.Column("scope", sa.String(), nullable=False),
        *_content("content_id", "compared"),
        sa.PrimaryKeyConstraint("scope", "content_id", name=op.f("pk_compared")),
    )
    op.create_index(op.f("ix_compared_content_id"), "compared", ["content_id"], unique=False)
    op.create_table(
        "pair",
        sa.Column("scope", sa.String(), nullable=False),
        *_content("first_id", "pair"),
        *_content("second_id", "pair"),
        sa.Column("hash_distance", sa.Integer(), nullable=True),
        sa.Column("turn", sa.Integer(), nullable=False),
        sa.Column("cosine", sa.Float(), nullable=True),
        sa.Column("judged", sa.Boolean(), nullable=False),
        sa.Column("answer", sa.JSON(none_as_null=True), nullable=True),
        sa.PrimaryKeyConstraint("scope", "first_id", "second_id", name=op.f("pk_pair")),
    )
    op.create_index(op.f("ix_pair_first_id"), "pair", ["first_id"], unique=False)
    op.create_index(op.f("ix_pair_second_id"), "pair", ["second_id"], unique=False)
    op.create_table(
        "not_duplicate",
        sa.Column("first_sha256", sa.LargeBinary(length=32), nullable=False),
        sa.Column("second_sha256", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("first_sha256", "second_sha256", name=op.f("pk_not_duplicate")),
    )
