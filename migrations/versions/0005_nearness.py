"""How near the vectors of a pair are, beside strangers: what `similar` goes by."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("pair", sa.Column("nearness", sa.Float(), nullable=True))
