"""ClickHouse tables derived from the datasets: types, codecs, sort keys, partitions, deduplication.

One physical row stands for one distinct (key, version, values, payload): a hash of the value columns closes the sort
key, so the order of arrival never decides what is stored. Tables live in `store`; readers see the views of
`views.py` in `commodity_data`.
"""

from __future__ import annotations

from carbon254.model import Column, Dataset

TABLES = "store"
VIEWS = "commodity_data"

_TYPES = {
    "string": "String",
    "category": "LowCardinality(String)",
    "timestamp": "DateTime64(6, 'UTC')",
    "date": "Date32",
    "float64": "Float64",
    "uint32": "UInt32",
    "uint64": "UInt64",
    "int64": "Int64",
}
_CODECS = {
    "timestamp": "CODEC(Delta(8), LZ4)",
    "date": "CODEC(Delta(4), LZ4)",
}
_NEWEST = 9_223_372_036_854_775_807


def column_type(column: Column) -> str:
    """The ClickHouse type of a column, e.g. `Nullable(Float64)`."""
    base = _TYPES[column.type]
    if not column.nullable:
        return base
    return "LowCardinality(Nullable(String))" if column.type == "category" else f"Nullable({base})"


def column_definition(column: Column) -> str:
    """Name, type, codec and comment, as in CREATE TABLE."""
    codec = _CODECS.get(column.type, "")
    return f"`{column.name}` {column_type(column)} {codec} COMMENT {_quoted(_comment(column))}"


def _comment(column: Column) -> str:
    return f"{column.meaning} [{column.unit}]" if column.unit else column.meaning


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def keeps_versions(dataset: Dataset) -> bool:
    """Whether the table holds every version of a key (`known_at` and `revision`), not only the one that stands."""
    return "known_at" in dataset.names and "revision" in dataset.names


def sort_key(dataset: Dataset) -> tuple[str, ...]:
    """Columns of the physical order; rows equal in all of them are one row."""
    if not keeps_versions(dataset):
        return dataset.key
    return (*dataset.key, *dataset.version, "value_hash", "payload")


def partition_expression(dataset: Dataset) -> str:
    """Calendar month of an instant; the year for daily series, whose one payload may span decades."""
    by_day = dataset.column(dataset.partition).type == "date"
    return f"toYear(`{dataset.partition}`)" if by_day else f"toYYYYMM(`{dataset.partition}`)"


def _derived(dataset: Dataset) -> tuple[list[str], str]:
    """Columns the engine computes on insert, and the table engine that uses them."""
    if keeps_versions(dataset):
        values = ", ".join(f"`{name}`" for name in dataset.values)
        return [f"`value_hash` UInt64 MATERIALIZED cityHash64(tuple({values}))"], "ReplacingMergeTree"
    if dataset.version == ("received_at",):
        first = f"`first` UInt64 MATERIALIZED {_NEWEST} - toUnixTimestamp64Micro(`received_at`)"
        return [first], "ReplacingMergeTree(`first`)"
    return [], f"ReplacingMergeTree(`{dataset.version[0]}`)"


def time_to_live(dataset: Dataset, keep_days: int | None) -> str:
    """When a row goes: that many days after it was received; empty where rows stay."""
    if keep_days is None or "received_at" not in dataset.names:
        return ""
    return f"toDateTime(`received_at`) + toIntervalDay({int(keep_days)})"


def create_table(dataset: Dataset, table: str = "", keep_days: int | None = None) -> str:
    """`CREATE TABLE IF NOT EXISTS` for a dataset.

    `table` names a twin (staging) with the same layout. `keep_days` removes rows that many days after `received_at`;
    None keeps everything. Both fsync settings are on: an acknowledged insert survives a power cut.
    """
    derived, engine = _derived(dataset)
    columns = ",\n  ".join([*map(column_definition, dataset.columns), *derived])
    order = ", ".join(f"`{name}`" for name in sort_key(dataset))
    ttl = time_to_live(dataset, keep_days)
    ttl = f"\nTTL {ttl}" if ttl else ""
    return (
        f"CREATE TABLE IF NOT EXISTS {TABLES}.`{table or dataset.name}` (\n  {columns}\n)\n"
        f"ENGINE = {engine}\nPARTITION BY {partition_expression(dataset)}\nORDER BY ({order}){ttl}\n"
        f"SETTINGS {', '.join(f'{name} = {value}' for name, value in SETTINGS.items())}"
    )


SETTINGS = {
    "non_replicated_deduplication_window": 10_000,
    "fsync_after_insert": 1,
    "fsync_part_directory": 1,
    # What a merge made is on disk before the parts it was made of go; then they go soon, and take their files along.
    "min_rows_to_fsync_after_merge": 1,
    "old_parts_lifetime": 20,
    # Each table looks for them so often: at its usual once a second a dozen idle tables keep a processor awake.
    "merge_tree_clear_old_parts_interval_seconds": 10,
    # A fresh part is one file to flush, not two a column (inserts of 250 k rows: 1.5 → 2.1 M rows/s); merges widen it.
    "min_bytes_for_wide_part": 128 << 20,
}
