"""Statements that must not get anywhere, made by a grammar: something out of reach, in every position, in disguise."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

# Each names a file, an address, a host, a user, a setting, another database, or waits.
SCALARS = (
    "file('{FILE}')", "hostName()", "currentUser()", "version()", "getSetting('max_threads')", "getMacro('x')",
    "sleep(3)", "serverUUID()", "dictGet('x', 'y', 1)", "joinGet('x', 'y', 1)", "currentDatabase()", "queryID()",
    "filesystemAvailable()", "getServerPort('tcp_port')", "uptime()", "currentUser", "user", "FQDN()",
    "arrayMap(file, ['{FILE}'])", "arrayExists(sleep, [3])", "hasColumnInTable('system', 'one', 'dummy')",
    "1 IN system.one", "1 IN (store.interval_prices)", "in(1, system.users)", "formatRow('CSV', 1)",
    "structureToProtobufSchema('x UInt8')", "zookeeperSessionUptime()", "connectionId()", "evalMLMethod(1, 2)",
    "getClientHTTPHeader('Host')", "@@version", "_CAST(file('{FILE}'), 'String')", "showCertificate()",
    "(SELECT count() FROM system.users)", "(SELECT any(line) FROM file('{FILE}', 'LineAsString', 'line String'))",
    "EXISTS (SELECT 1 FROM store.interval_prices)", "executeQuery('SELECT 1')", "aiGenerate('x')",
)  # fmt: skip
TABLES = (
    "system.users", "`system`.`one`", '"system".tables', "store.interval_prices", "`store`.interval_prices",
    "information_schema.tables", "INFORMATION_SCHEMA.TABLES", "default.x", "_temporary_and_external_tables.x",
    "file('{FILE}')", "file('{FILE}', 'LineAsString')", "url('http://127.0.0.1:1/')", "s3('http://127.0.0.1:1/x')",
    "remote('127.0.0.1', system.one)", "cluster('default', system.one)", "merge('store', '.*')", "loop(system, one)",
    "executable('id', 'TSV', 'a String')", "sqlite('{FILE}', 't')", "icebergLocal('{FOLDER}')", "python('os')",
    "generateRandom('x UInt8')", "viewExplain('EXPLAIN', '', (SELECT 1))", "mergeTreeIndex(store, interval_prices)",
    "dictionary('x')", "input('x UInt8')", "view(SELECT * FROM system.users)", "mysql('h:1', 'd', 't', 'u', 'p')",
    "jdbc('x', 'y')", "eval('SELECT 1')", "arrowstream('x')", "`{FILE}`", "fuzzQuery('SELECT 1')", "filesystem('/')",
)  # fmt: skip
AROUND_SCALARS = (
    "SELECT {}", "SELECT 1 WHERE {} = 1", "SELECT number FROM numbers(2) ORDER BY {}", "SELECT [1, {}]",
    "SELECT count() FROM numbers(2) GROUP BY {}", "SELECT count() FROM numbers(2) HAVING {} = 1", "SELECT (1, {}).2",
    "WITH {} AS q SELECT q", "SELECT (SELECT {})", "SELECT if(1, {}, {})", "SELECT arrayMap(x -> {}, [1])",
    "SELECT count() OVER (ORDER BY {}) FROM numbers(2)", "SELECT CASE WHEN 1 THEN {} END", "SELECT toString({}) AS x",
    "SELECT 1 FROM numbers(1) AS a JOIN numbers(1) AS b ON a.number = b.number AND {} = 1", "SELECT {}::String",
    "SELECT * FROM view(SELECT {})", "SELECT 1 UNION ALL SELECT {}", "EXPLAIN SELECT {}", "DESCRIBE (SELECT {})",
    "SELECT * REPLACE({} AS number) FROM numbers(1)", "SELECT * APPLY(x -> {}) FROM numbers(1)", "SELECT NOT {}",
    "SELECT number FROM numbers(1) QUALIFY {} = 1", "SELECT a FROM numbers(1) ARRAY JOIN [{}] AS a", "(SELECT {})",
    "SELECT sumIf(1, {} = 1)", "SELECT number FROM numbers(3) LIMIT 1 BY {}", "SELECT {} BETWEEN 1 AND 2",
    "WITH x AS (SELECT {} AS q) SELECT q FROM x", "SELECT * FROM (SELECT {})", "FROM numbers(1) SELECT {}",
)  # fmt: skip
AROUND_TABLES = (
    "SELECT * FROM {}", "SELECT * FROM {} AS interval_prices", "SELECT * FROM interval_prices, {}", "FROM {} SELECT *",
    "SELECT * FROM (SELECT * FROM {})", "SELECT 1 FROM numbers(1) JOIN {} AS b ON 1 = 1", "DESCRIBE TABLE {}",
    "SELECT 1 UNION ALL SELECT count() FROM {}", "WITH x AS (SELECT * FROM {}) SELECT * FROM x", "(SELECT * FROM {})",
    "SELECT (SELECT count() FROM {})", "SELECT 1 WHERE 1 IN (SELECT 1 FROM {})", "EXPLAIN SELECT * FROM {}",
    "SELECT * FROM view(SELECT * FROM {})", "SELECT 1 WHERE EXISTS (SELECT 1 FROM {})",
    "EXPLAIN QUERY TREE SELECT * FROM {}",
    "WITH interval_prices AS (SELECT 1) SELECT * FROM {}", "SELECT 1 EXCEPT SELECT 1 FROM {}",
)  # fmt: skip


def _plain(sql: str) -> str:
    return sql


def _tabbed(sql: str) -> str:
    return sql.replace(" ", "\t\n")


def _commented(sql: str) -> str:
    return "/* SELECT 1 */" + sql.replace("(", "/**/(").replace(" FROM ", " /* ' */ FROM -- \"\n ")


def _lower(sql: str) -> str:
    words = ("SELECT", "FROM", "WHERE", "UNION", "WITH", "ORDER", "GROUP", "EXPLAIN", "DESCRIBE", "JOIN", "LIMIT")
    for word in words:
        sql = sql.replace(word, word.lower())
    return sql


def _closed(sql: str) -> str:
    return f"{sql} ; -- the end"


DISGUISES = (_plain, _tabbed, _commented, _lower, _closed)


def statements() -> Iterator[str]:
    """Every one of them, with `{FILE}` and `{FOLDER}` still to fill in."""
    for disguise in DISGUISES:
        for atom, around in (*product(SCALARS, AROUND_SCALARS), *product(TABLES, AROUND_TABLES)):
            yield disguise(around.replace("{}", atom))
