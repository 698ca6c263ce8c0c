"""The log on Kafka beside the embedded one, and what the codecs cost.

python bench/kafka.py [BATCHES ROWS_PER_BATCH TICKS]

- codec: encode + decode of one batch of prices on one core, columnar as our side of the wire has it, and as Avro;
- throughput: batches appended in transactions, read and committed by a consumer in another thread of the same process;
- latency: append → read, one batch at a time, p50/p95/p99; and the same while batches arrive at a steady rate;
- peers: single JSON ticks of a topic → enriched Avro records on a topic, by ours, Quix Streams and Bytewax (`streams`).

The broker is a real one on this machine, one node, no replication; it shares the cores with us.
"""

from __future__ import annotations

import io
import json
import sys
import tempfile
import threading
import time
from pathlib import Path

import fastavro
import numpy as np
import pyarrow as pa
import shapes

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import servers
import streams

from carbon254.engine.codec import decode, encode
from carbon254.feeds import Payload, feed
from carbon254.feeds.ticks.parse import parse
from carbon254.model import dataset
from carbon254.model.arrow import conform
from carbon254.model.avro import avro_schema
from carbon254.stores.log import Log, NewRecord, open_log
from carbon254.wire.avro import Encoder


def ticks(rows: int) -> pa.Table:
    """Ticks as they travel in `rows.market.ticks`."""
    import polars as pl

    frame = pl.concat(
        one.frame for one in parse(Payload(shapes.ticks_ndjson(rows), "ticks.ndjson", feed("market.ticks").stream))
    )
    names = {name: pl.lit("x") for name in ("commodity", "region", "product_tier", "feed", "payload", "batch_id")}
    received = pl.col("event_time").alias("received_at")
    fixed = [value.alias(name) for name, value in names.items()]
    return conform(frame.with_columns(received, *fixed), dataset("market_ticks"))


def rate(what: object, rows: int, seconds: float) -> int:
    """Rows a second of a repeated call."""
    done, begin = 0, time.process_time()
    while time.process_time() - begin < seconds:
        what()  # type: ignore[operator]
        done += rows
    return int(done / (time.process_time() - begin))


def codecs(table: pa.Table) -> dict[str, int]:
    """Rows a second on one core."""
    body, small = encode(table), table.slice(0, 10_000)
    schema = avro_schema(dataset("market_ticks"))
    encoder, parsed = Encoder(schema), fastavro.parse_schema(schema)
    messages = list(encoder.encode(small))

    def read() -> None:
        for message in messages:
            fastavro.schemaless_reader(io.BytesIO(message), parsed, None)

    writes = rate(lambda: list(encoder.encode(small)), small.num_rows, 2)
    both = rate(lambda: decode(encode(table)), table.num_rows, 2)
    avro = rate(lambda: (list(encoder.encode(small)), read()), small.num_rows, 2)
    return {
        "bytes_per_row_columnar": len(body) // table.num_rows,
        "bytes_per_row_avro": sum(map(len, messages)) // len(messages),
        "avro_encode_rows_per_s_core": writes,
        "columnar_encode_decode_rows_per_s_core": both,
        "avro_encode_decode_rows_per_s_core": avro,
    }


def carried(log: Log, bodies: list[bytes], rows: int, pause_s: float) -> dict[str, float]:
    """Append each body, carry it to `rows.` in a transaction of a consumer, and note when it was read there."""
    sent: list[float] = []
    seen: list[float] = []

    def normalise() -> None:
        while len(seen) < len(bodies):
            records = log.read("n", "raw.", 16)
            if not records:
                log.wait(0.25)
                continue
            with log.transaction() as txn:
                txn.append([NewRecord("rows.b", None, {"rows": rows}, one.body) for one in records])
                txn.commit("n", "raw.b", records[-1].offset)
            for one in log.read("p", "rows.", 16):
                decode(one.body)
                seen.append(time.perf_counter())
                with log.transaction() as txn:
                    txn.commit("p", "rows.b", one.offset)

    carrier = threading.Thread(target=normalise)
    carrier.start()
    begin = time.perf_counter()
    for number, body in enumerate(bodies):
        time.sleep(max(0.0, begin + number * pause_s - time.perf_counter()))
        sent.append(time.perf_counter())
        log.append([NewRecord("raw.b", None, {"rows": rows}, body)])
    carrier.join()
    waits = np.array(seen) - np.array(sent)
    p50, p95, p99 = (round(float(one) * 1000, 1) for one in np.percentile(waits, [50, 95, 99]))
    return {
        "rows_per_s": int(len(bodies) * rows / (seen[-1] - sent[0])), "p50_ms": p50, "p95_ms": p95, "p99_ms": p99,
    }  # fmt: skip


def main(batches: int, rows: int, flood: int) -> dict[str, object]:
    """Everything, as one row of the board."""
    if reason := servers.missing("kafka"):
        return {"bench": "kafka", "skipped": reason}
    table = ticks(rows)
    body = encode(table)
    result: dict[str, object] = {"bench": "kafka", "batches": batches, "rows_per_batch": rows} | codecs(table)
    with tempfile.TemporaryDirectory() as folder, servers.kafka() as broker:
        from carbon254.stores.log.kafka import Cluster, KafkaLog

        for mode, count, pause_s in (("flood", batches, 0.0), ("steady", 100, 0.1)):
            logs = {
                "embedded": open_log(Path(folder) / mode / "log.db"),
                "kafka": KafkaLog(Cluster(broker.url, prefix=f"{mode}."), Path(folder) / mode, make=True),
            }
            for name, log in logs.items():
                carried(log, [body] * 3, rows, 0.0)
                found = carried(log, [body] * count, rows, pause_s)
                result |= {f"{name}_{mode}_{key}": value for key, value in found.items()}
                log.close()
        result |= streams.side_by_side(broker.url.removeprefix("kafka://"), Path(folder), flood, 5_000, 1_000.0)
    return result


if __name__ == "__main__":
    asked = [int(one) for one in sys.argv[1:]]
    sys.stdout.write(json.dumps(main(*(asked if len(asked) == 3 else (60, 20_000, 60_000)))) + "\n")
