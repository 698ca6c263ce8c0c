WITH x AS (SELECT n FROM t) SELECT * FROM x
WITH 5 AS y SELECT n + y FROM t
WITH (SELECT max(n) FROM t) AS m SELECT n FROM t WHERE n = m
WITH RECURSIVE r AS (SELECT 1 AS i UNION ALL SELECT i+1 FROM r WHERE i < 5) SELECT * FROM r
WITH x -> x + 1 AS inc SELECT inc(1)
SELECT sum(n) OVER (PARTITION BY s ORDER BY n ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM t
SELECT lagInFrame(n, 1) OVER w, row_number() OVER w FROM t WINDOW w AS (ORDER BY n)
SELECT avg(n) OVER (ORDER BY n RANGE BETWEEN 2 PRECEDING AND 2 FOLLOWING) FROM t
SELECT n, s FROM t ORDER BY n LIMIT 1 BY s LIMIT 3
SELECT n FROM t ORDER BY n LIMIT 2 WITH TIES
SELECT n FROM t ORDER BY n LIMIT 2 OFFSET 1
SELECT n FROM t ORDER BY n OFFSET 1 ROW FETCH FIRST 2 ROWS ONLY
SELECT a FROM (SELECT [1,2] AS arr) ARRAY JOIN arr AS a
SELECT a, i FROM (SELECT [1,2] AS arr) LEFT ARRAY JOIN arr AS a, arrayEnumerate(arr) AS i
SELECT x.n, y.n FROM t AS x ASOF JOIN t AS y ON x.s = y.s AND x.n >= y.n
SELECT x.n FROM t AS x LEFT JOIN t AS y USING (n)
SELECT x.n FROM t AS x ANY LEFT JOIN t AS y USING n
SELECT x.n FROM t x SEMI JOIN t y ON x.n = y.n
SELECT count() FROM t CROSS JOIN t AS b
SELECT count() FROM t, t AS b
SELECT quantile(0.5)(n), quantiles(0.1, 0.9)(n), quantileExactIf(0.9)(n, n > 1) FROM t
SELECT sumIf(n, n > 2), countIf(n > 1), avgOrNull(n), argMax(s, n), uniqExact(n), groupArray(3)(n) FROM t
SELECT sumMerge(z) FROM (SELECT sumState(n) AS z FROM t)
SELECT finalizeAggregation(sumState(n)) FROM t
SELECT arrayMap(x -> x * 2, [1,2]), arrayFilter((x, y) -> x > y, [1,2], [2,1]), arraySort(x -> -x, [1,2]), arrayFold((acc, x) -> acc + x, [1,2], toInt64(0))
SELECT (1, 'a').1, tuple(1,2), (1,2) AS p, p.2
SELECT toStartOfInterval(toDateTime('2025-01-01 10:07:00'), INTERVAL 5 MINUTE), now() - INTERVAL 1 HOUR, INTERVAL '90' DAY, today() - 7
SELECT CURRENT_DATE - INTERVAL '30' DAY, CURRENT_TIMESTAMP > toDateTime('2020-01-01'), DATE '2020-01-01', TIMESTAMP '2020-01-01 00:00:00'
SELECT s, count() FROM t GROUP BY ALL
SELECT s, count() FROM t GROUP BY s HAVING count() > 0 ORDER BY ALL
SELECT n, row_number() OVER (ORDER BY n) AS rn FROM t QUALIFY rn <= 3
SELECT toDate('2025-01-01') + number AS d, number FROM numbers(3) ORDER BY d WITH FILL FROM toDate('2025-01-01') TO toDate('2025-01-10') STEP INTERVAL 1 DAY INTERPOLATE (number AS number)
SELECT n::String, CAST(n AS Float64), CAST(n, 'Nullable(Int32)'), '1'::Int32, n::Decimal(10,2) FROM t
SELECT n BETWEEN 1 AND 3, CASE WHEN n > 1 THEN 'a' ELSE 'b' END, CASE n WHEN 1 THEN 'x' END, n > 1 ? 'y' : 'z', if(n > 1, 1, 0), multiIf(n=1, 1, n=2, 2, 3) FROM t
SELECT 'it''s', 'a\'b', 'tab\t', '\\', "s" FROM t
SELECT 1 -- comment
SELECT 1 /* a; b */ + 2 # trailing
SELECT `n` AS `my col`, "n" AS "other" FROM `t`
SELECT s, n, sum(n) FROM t GROUP BY ROLLUP(s, n)
SELECT s, n, sum(n) FROM t GROUP BY s, n WITH ROLLUP
SELECT s, n, sum(n) FROM t GROUP BY CUBE(s, n)
SELECT s, n, sum(n), grouping(s) FROM t GROUP BY GROUPING SETS ((s), (n), ())
SELECT s, sum(n) FROM t GROUP BY s WITH TOTALS
SELECT 1 UNION ALL SELECT 2
SELECT 1 UNION DISTINCT SELECT 2
SELECT 1 EXCEPT SELECT 2
SELECT 1 INTERSECT SELECT 1
SELECT * FROM (SELECT 1 AS a UNION ALL SELECT 2) WHERE a IN (SELECT n FROM t)
SELECT n FROM t WHERE n IN (1,2,3) AND n NOT IN (SELECT 5) AND s LIKE '1%' AND s NOT LIKE '2%' AND s ILIKE 'A%'
SELECT n FROM t WHERE EXISTS (SELECT 1 FROM t AS z WHERE z.n = 3)
SELECT n FROM t WHERE (n, s) IN ((1, '1'), (2, '2'))
SELECT n FROM t WHERE n = ANY (SELECT n FROM t)
SELECT toYYYYMM(today()), toStartOfHour(now()), dateDiff('day', today(), today()), date_diff('hour', now(), now()), formatDateTime(now(), '%Y-%m'), toTimeZone(now(), 'America/Chicago'), dateTrunc('month', today()), date_trunc('day', now()), toDayOfWeek(today()), EXTRACT(YEAR FROM today()), dateAdd(DAY, 1, today()), date_add(today(), INTERVAL 1 DAY), addHours(now(), 1), timestamp_sub(now(), INTERVAL 1 DAY), DATE(now())
SELECT JSONExtractString('{"a":"b"}', 'a'), JSON_VALUE('{"a":1}', '$.a'), JSONHas('{"a":1}', 'a')
SELECT match('abc', 'a.c'), extract('a1', '\\d'), replaceRegexpAll('abc', 'b', 'x'), splitByChar(',', 'a,b'), concat('a', 'b'), 'a' || 'b', substring('abc', 1, 2), lower('A'), trim(BOTH ' ' FROM ' a '), position('abc', 'b'), SUBSTRING('abc' FROM 1 FOR 2), leftPad('1', 3, '0'), format('{} {}', 'a', 'b')
SELECT exp(1), log(2), pow(2, 3), sqrt(4), round(1.234, 2), floor(1.5), abs(-1), greatest(1, 2), least(1,2), 7 % 3, 7 DIV 2, 7 MOD 2, -n, intDiv(7,2) FROM t
SELECT count(*), count(DISTINCT n), COUNT(), sum(DISTINCT n), sum(n) FILTER (WHERE n > 1) FROM t
SELECT DISTINCT s FROM t
SELECT DISTINCT ON (s) s, n FROM t
SELECT * EXCEPT (n) FROM t
SELECT * REPLACE (n + 1 AS n) FROM t
SELECT COLUMNS('n') FROM t
SELECT COLUMNS(n, s) APPLY(toString) FROM t
SELECT * APPLY(max) FROM t
SELECT * EXCEPT (s) APPLY(x -> x + 1) FROM t
SELECT * EXCEPT (s) APPLY(quantile(0.5)) FROM t
SELECT t.* FROM t
SELECT NULL, TRUE, false, 0x1F, 1e3, .5, 1_000, inf, nan, NULL IS NULL, 1 IS NOT NULL, NULL <=> NULL, 1 IS DISTINCT FROM 2
SELECT number FROM numbers(3)
SELECT * FROM generateSeries(1, 3)
SELECT * FROM values('x UInt8, y String', (1, 'a'), (2, 'b'))
SELECT * FROM (VALUES (1, 2), (3, 4))
SELECT * FROM view(SELECT n FROM t)
FROM t SELECT n
SELECT n, any(s) FROM t GROUP BY n ORDER BY n DESC NULLS LAST
SELECT arrayJoin([1,2,3]) AS x
SELECT toFloat64OrNull('x'), toDateTimeOrZero('x'), parseDateTimeBestEffort('2025-01-01'), toDecimal64(1.5, 2), coalesce(NULL, 1), ifNull(NULL, 2), nullIf(1, 1)
SELECT name FROM (SELECT 1 AS name) AS store WHERE store.name = 1
SELECT 1 AS x WHERE x NOT BETWEEN 2 AND 3
SELECT NOT (1 = 2), 1 AND NOT 0 OR 1
SELECT n FROM t GROUP BY 1 ORDER BY 1
SELECT $$dollar$$, $tag$ a 'b' $tag$
SELECT maxIf(n, s = '1') - minIf(n, s = '2') AS spread, countIf(isNull(n)) FROM t
SELECT least(1, 2) AS l, 'x' AS file, l + 1
SELECT sumForEach(arr), groupUniqArrayArray(arr), sumMap(m) FROM (SELECT [1,2] AS arr, map('a', 1) AS m)
SELECT tuple(1, 2) = (1, 2), untuple((1, 2))
SELECT a.1, a.b FROM (SELECT CAST((1, 2) AS Tuple(x UInt8, b UInt8)) AS a)
EXPLAIN SELECT n FROM t
EXPLAIN PLAN indexes = 1 SELECT n FROM t
EXPLAIN PIPELINE SELECT n FROM t
EXPLAIN SYNTAX SELECT n FROM t
EXPLAIN QUERY TREE SELECT n FROM t
EXPLAIN ESTIMATE SELECT n FROM t
SELECT max(n) AS mx, (SELECT min(n) FROM t) AS mn FROM t
SELECT * FROM t SAMPLE 0.1
SELECT * FROM t FINAL
SELECT * APPLY(x -> x + 1) FROM (SELECT n FROM t)
SELECT * APPLY(toString, 'p_') FROM t
SELECT COLUMNS('n') APPLY(x -> arrayMap(y -> y + x, [1, 2])) APPLY(length), s FROM t
SELECT t.* EXCEPT (s) APPLY(sum) FROM t
