"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "content",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(length=32), nullable=False),
        sa.Column("byte_size", sa.BigInteger(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("format", sa.String(), nullable=False),
        sa.Column("taken_at", sa.DateTime(), nullable=True),
        sa.Column("camera", sa.String(), nullable=True),
        sa.Column("latitude", sa.Float(), nullable=True),
        sa.Column("longitude", sa.Float(), nullable=True),
        sa.Column("perceptual_hash", sa.LargeBinary(length=32), nullable=True),
        sa.Column("perceptual_quality", sa.Integer(), nullable=True),
        sa.Column("orphaned_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_content")),
        sa.UniqueConstraint("sha256", name=op.f("uq_content_sha256")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_content_byte_size"), "content", ["byte_size"], unique=False)
    op.create_index(op.f("ix_content_camera"), "content", ["camera"], unique=False)
    op.create_index(
        "ix_content_orphaned_at",
        "content",
        ["orphaned_at"],
        unique=False,
        sqlite_where=sa.text("orphaned_at IS NOT NULL"),
    )
    op.create_table(
        "encoder",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("weights_hash", sa.String(), nullable=False),
        sa.Column("preprocessing", sa.Text(), nullable=False),
        sa.Column("dimension", sa.Integer(), nullable=False),
        sa.Column("precision", sa.String(), nullable=False),
        sa.Column("background", sa.JSON(none_as_null=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_encoder")),
        sa.UniqueConstraint(
            "weights_hash",
            "preprocessing",
            "dimension",
            name=op.f("uq_encoder_weights_hash_preprocessing_dimension"),
        ),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "root",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_root")),
        sa.UniqueConstraint("path", name=op.f("uq_root_path")),
    )
    op.create_table(
        "setting",
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_setting")),
    )
    op.create_table(
        "dropped",
        sa.Column("encoder_id", sa.Integer(), nullable=False),
        sa.Column("content_id", sa.Integer(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["encoder_id"], ["encoder.id"], name=op.f("fk_dropped_encoder_id")),
        sa.PrimaryKeyConstraint("encoder_id", "content_id", name=op.f("pk_dropped")),
    )
    op.create_table(
        "embedding",
        sa.Column("encoder_id", sa.Integer(), nullable=False),
        sa.Column("content_id", sa.Integer(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("vector", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["content_id"], ["content.id"], name=op.f("fk_embedding_content_id")),
        sa.ForeignKeyConstraint(["encoder_id"], ["encoder.id"], name=op.f("fk_embedding_encoder_id")),
        sa.PrimaryKeyConstraint("encoder_id", "content_id", name=op.f("pk_embedding")),
    )
    op.create_index(op.f("ix_embedding_content_id"), "embedding", ["content_id"], unique=False)
    op.create_index(
        op.f("ix_embedding_encoder_id_generation"), "embedding", ["encoder_id", "generation"], unique=False
    )
    op.create_table(
        "file",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("root_id", sa.Integer(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("mtime_ns", sa.BigInteger(), nullable=False),
        sa.Column("content_id", sa.Integer(), nullable=True),
        sa.Column("skip_reason", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "(content_id IS NULL) <> (skip_reason IS NULL)", name=op.f("ck_file_content_or_reason")
        ),
        sa.ForeignKeyConstraint(["content_id"], ["content.id"], name=op.f("fk_file_content_id")),
        sa.ForeignKeyConstraint(["root_id"], ["root.id"], name=op.f("fk_file_root_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_file")),
        sa.UniqueConstraint("root_id", "path", name=op.f("uq_file_root_id_path")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_file_content_id"), "file", ["content_id"], unique=False)
    op.create_table(
        "index_file",
        sa.Column("encoder_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("images", sa.Integer(), nullable=False),
        sa.Column("byte_size", sa.BigInteger(), nullable=False),
        sa.Column("mtime_ns", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(length=32), nullable=False),
        sa.ForeignKeyConstraint(["encoder_id"], ["encoder.id"], name=op.f("fk_index_file_encoder_id")),
        sa.PrimaryKeyConstraint("encoder_id", name=op.f("pk_index_file")),
    )


def downgrade() -> None:
    op.drop_table("index_file")
    op.drop_table("file")
    op.drop_table("embedding")
    op.drop_table("dropped")
    op.drop_table("setting")
    op.drop_table("root")
    op.drop_table("encoder")
    op.drop_table("content")
