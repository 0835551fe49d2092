"""The schema: the tables of a library's catalog (docs/formats.md tells what they mean)."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.types import TypeDecorator

from .names import decode_name, encode_name

_NAMES = {  # Alembic can only change what has a name
    "pk": "pk_%(table_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
}
metadata = MetaData(naming_convention=_NAMES)


class FilePath(TypeDecorator[str]):
    """A path with forward slashes, of any bytes (names.py)."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Write the path as valid Unicode."""
        return None if value is None else encode_name(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:
        """Give the path back as the file system has it."""
        return None if value is None else decode_name(value)


setting = Table(
    "setting",
    metadata,
    Column("key", String, primary_key=True),
    Column("value", Text, nullable=False),
)

root = Table(
    "root",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("path", Text, nullable=False),  # written by names.stored_root
    UniqueConstraint("path"),
)

content = Table(
    "content",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("sha256", LargeBinary(32), nullable=False),
    Column("byte_size", BigInteger, nullable=False),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("format", String, nullable=False),
    Column("taken_at", DateTime),
    Column("camera", String),
    Column("latitude", Float),
    Column("longitude", Float),
    Column("perceptual_hash", LargeBinary(32)),
    Column("perceptual_quality", Integer),
    Column("orphaned_at", BigInteger),  # seconds since 1970; null while a file has this content
    Column("pixel_sha256", LargeBinary(32)),  # of the upright pixels; null where not all were decoded
    UniqueConstraint("sha256"),
    Index(None, "byte_size"),
    Index(None, "camera"),
    Index("ix_content_orphaned_at", "orphaned_at", sqlite_where=Column("orphaned_at").is_not(None)),
    sqlite_autoincrement=True,  # an id never comes back for another content: FAISS files name contents by it
)

file = Table(
    "file",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("root_id", ForeignKey("root.id"), nullable=False),
    Column("path", FilePath, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("mtime_ns", BigInteger, nullable=False),
    Column("content_id", ForeignKey("content.id")),
    Column("skip_reason", Text),
    UniqueConstraint("root_id", "path"),
    CheckConstraint("(content_id IS NULL) <> (skip_reason IS NULL)", name="content_or_reason"),
    Index(None, "content_id"),
    sqlite_autoincrement=True,
)

encoder = Table(
    "encoder",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String, nullable=False),
    Column("weights_hash", String, nullable=False),
    Column("preprocessing", Text, nullable=False),  # JSON with sorted keys, so that equal ones are equal text
    Column("dimension", Integer, nullable=False),
    Column("precision", String, nullable=False),
    Column("background", JSON(none_as_null=True)),
    UniqueConstraint("weights_hash", "preprocessing", "dimension"),
    sqlite_autoincrement=True,
)

embedding = Table(
    "embedding",
    metadata,
    Column("encoder_id", ForeignKey("encoder.id"), primary_key=True),
    Column("content_id", ForeignKey("content.id"), primary_key=True),
    Column("generation", Integer, nullable=False),
    Column("vector", LargeBinary, nullable=False),  # float16, little-endian
    Index(None, "encoder_id", "generation"),
    Index(None, "content_id"),
)

dropped = Table(  # vectors that a FAISS file may still have and must not answer with
    "dropped",
    metadata,
    Column("encoder_id", ForeignKey("encoder.id"), primary_key=True),
    Column("content_id", Integer, primary_key=True),  # may name a content that is gone
    Column("generation", Integer, nullable=False),
)

index_file = Table(
    "index_file",
    metadata,
    Column("encoder_id", ForeignKey("encoder.id"), primary_key=True),
    Column("name", String, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("images", Integer, nullable=False),
    Column("byte_size", BigInteger, nullable=False),
    Column("mtime_ns", BigInteger, nullable=False),
    Column("sha256", LargeBinary(32), nullable=False),
)

local_feature = Table(  # marks by which parts of a picture are found again (features.py)
    "local_feature",
    metadata,
    Column("content_id", ForeignKey("content.id", ondelete="CASCADE"), primary_key=True),
    Column("marks", LargeBinary, nullable=False),
)

patch_grid = Table(  # where in a picture what is: its patch vectors (patch_grids.py)
    "patch_grid",
    metadata,
    Column("encoder_id", ForeignKey("encoder.id"), primary_key=True),
    Column("content_id", ForeignKey("content.id", ondelete="CASCADE"), primary_key=True),
    Column("recipe", String, nullable=False),  # at which sizes and how they were taken
    Column("rows", Integer, nullable=False),
    Column("columns", Integer, nullable=False),
    Column("cells", LargeBinary, nullable=False),
    Index(None, "content_id"),
)

compared = Table(  # contents that a search for duplicates has seen: it need not compare them again
    "compared",
    metadata,
    Column("scope", String, primary_key=True),  # what was compared, and how
    Column("content_id", ForeignKey("content.id", ondelete="CASCADE"), primary_key=True),
    Index(None, "content_id"),
)

pair = Table(  # what such a search held for worth a look, and what came of it
    "pair",
    metadata,
    Column("scope", String, primary_key=True),
    Column("first_id", ForeignKey("content.id", ondelete="CASCADE"), primary_key=True),
    Column("second_id", ForeignKey("content.id", ondelete="CASCADE"), primary_key=True),
    Column("hash_distance", Integer),  # bits; null where the hashes did not propose it
    Column("turn", Integer, nullable=False),
    Column("cosine", Float),  # null where the vectors did not
    Column("judged", Boolean, nullable=False),
    Column("answer", JSON(none_as_null=True)),  # null when judged: no duplicates
    Column("nearness", Float),  # of the vectors, 1 being as far apart as strangers; null where not known
    Index(None, "first_id"),
    Index(None, "second_id"),
)

not_duplicate = Table(  # what the user has said; by content, so that it outlives indexing anew
    "not_duplicate",
    metadata,
    Column("first_sha256", LargeBinary(32), primary_key=True),  # the smaller
    Column("second_sha256", LargeBinary(32), primary_key=True),
)
