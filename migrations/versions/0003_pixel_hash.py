"""The hash of a picture's upright pixels; null for what is indexed already."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("content", sa.Column("pixel_sha256", sa.LargeBinary(length=32), nullable=True))
