"""Patch vectors of pictures, so that regions are found without reading the picture again."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "patch_grid",
        sa.Column("encoder_id", sa.Integer(), nullable=False),
        sa.Column("content_id", sa.Integer(), nullable=False),
        sa.Column("recipe", sa.String(), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("columns", sa.Integer(), nullable=False),
        sa.Column("cells", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["encoder_id"], ["encoder.id"], name=op.f("fk_patch_grid_encoder_id")),
        sa.ForeignKeyConstraint(
            ["content_id"], ["content.id"], name=op.f("fk_patch_grid_content_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("encoder_id", "content_id", name=op.f("pk_patch_grid")),
    )
    op.create_index(op.f("ix_patch_grid_content_id"), "patch_grid", ["content_id"], unique=False)
