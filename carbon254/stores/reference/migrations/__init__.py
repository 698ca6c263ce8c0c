"""The reference store's schema, version by version (Alembic). `HEAD` is the version this code reads and writes."""

HEAD = "0002"
VERSION_TABLE = "reference_version"
