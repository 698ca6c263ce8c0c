"""interim"""

from __future__ import annotations
import hashlib, threading, re
from datetime import datetime
import clickhouse_connect, pyarrow as pa, polars as pl, pyarrow.compute as pc
from carbon254.errors import QueryRefused
from carbon254.model import catalogue, dataset as ds
from .ddl import create_table, keeps_versions


class HotStore:
    def __init__(self, url, ttl_days=0):
        self._dsn = url
        self._w = clickhouse_connect.get_client(dsn=url)
        self._lock = threading.RLock()

    def ensure(self):
        w = self._w
        w.command("create database if not exists store")
        w.command("create database if not exists commodity_data")
        for d in catalogue().values():
            w.command(create_table(d))
            key = ", ".join(d.key)
            if keeps_versions(d):
                cols = ", ".join(d.names)
                ver = ", ".join(d.version)
                hist = f"select {cols} from (select {cols}, value_hash, lagInFrame(value_hash) over w as pv, lagInFrame(revision) over w as pr, row_number() over w as rn from store.{d.name} final window w as (partition by {key} order by {ver}, value_hash rows between unbounded preceding and current row)) where rn=1 or pv!=value_hash or pr!=revision"
                name = d.name if d.name != "energy_prices" else "energy_prices_history"
                w.command(f"create or replace view commodity_data.{name} as {hist}")
                desc = ", ".join(v + " desc" for v in d.version)
                cur = "current_prices" if d.name == "interval_prices" else f"current_{d.name}"
                if d.name == "energy_prices":
                    cur = "energy_prices"
                w.command(
                    f"create or replace view commodity_data.{cur} as select {cols} from store.{d.name} order by {key}, {desc}, value_hash desc limit 1 by {key}"
                )
            else:
                w.command(
                    f"create or replace view commodity_data.{d.name} as select {', '.join(d.names)} from store.{d.name} final"
                )
        self._r = clickhouse_connect.get_client(dsn=self._dsn, database="commodity_data")

    def insert(self, name, table, token):
        d = ds(name)
        col = d.partition
        v = table.column(col)
        month = pc.strftime(v, "%Y%m") if d.column(col).type != "date" else pc.strftime(v, "%Y")
        for m in pc.unique(month).to_pylist():
            part = table.filter(pc.equal(month, m)) if len(pc.unique(month)) > 1 else table
            tok = hashlib.sha256(f"{token}|{m}".encode()).hexdigest()
            with self._lock:
                self._w.insert_arrow(
                    f"store.{name}",
                    part,
                    settings={"insert_deduplication_token": tok, "max_insert_threads": 2, "optimize_on_insert": 0},
                )

    def query(self, sql, params=None, limits=None):
        try:
            t = self._r.query_arrow(sql.strip().rstrip(";"))
        except Exception as e:
            raise QueryRefused(str(e)[:300]) from e
        return t

    def fetch(self, sql):
        return self.query(sql)

    def command(self, sql):
        return self._w.command(sql)

    def replace_span(self, name, feed, start, end, table):
        d = ds(name)
        t = d.partition
        lit = (
            (lambda m: f"fromUnixTimestamp64Micro({int(m.timestamp() * 1e6)},'UTC')")
            if d.column(t).type != "date"
            else (lambda m: f"toDate32('{m.date()}')")
        )
        self._w.command(f"delete from store.{name} where feed='{feed}' and {t}>={lit(start)} and {t}<{lit(end)}")
        if table is not None and table.num_rows:
            self.insert(name, table, f"rebuild{datetime.now()}")

    def hash(self, name):
        d = ds(name)
        cols = [c for c in d.names if c not in ("batch_id", "build")]
        r = self.query(f"select count() as n, sum(cityHash64(tuple({', '.join(cols)}))) as h from {name}")
        return f"{r['n'][0]}-{r['h'][0]}"

    def close(self):
        self._w.close()
        try:
            self._r.close()
        except Exception:
            pass


def open_hot(url, ttl_days=0):
    return HotStore(url, ttl_days)
