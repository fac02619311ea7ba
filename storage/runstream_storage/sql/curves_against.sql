-- Curves of several metrics and runs against another metric, as envelopes in order of metric, run and x. The x of a point is
-- the newest value that the other metric had by its step, of the same rank; points before the first such value are left
-- out. A row is a stretch of one curve: places of the run and the metric in the lists (from 1), first and last x, smallest
-- and largest finite value (NaN if there is none), and how many values are NaN, +inf and -inf.
-- project String. run_ids Array(UUID). metrics Array(String). against String: the other metric. from, to Float64: window of x,
-- inclusive. pixels UInt32: stretches at most of a metric.
WITH
against AS
(
    SELECT run_id, rank, step, value AS x
    FROM v_points
    WHERE project = {project:String} AND run_id IN {run_ids:Array(UUID)} AND metric = {against:String} AND isFinite(value)
),
placed AS
(
    SELECT y.run_id AS run_id, toString(y.metric) AS metric, y.value AS value, a.x AS x
    FROM
    (
        SELECT run_id, metric, rank, step, value
        FROM v_points
        WHERE project = {project:String} AND run_id IN {run_ids:Array(UUID)} AND metric IN {metrics:Array(String)}
    ) AS y
    ASOF INNER JOIN against AS a ON a.run_id = y.run_id AND a.rank = y.rank AND a.step <= y.step
    WHERE x BETWEEN {from:Float64} AND {to:Float64}
)
SELECT toUInt32(indexOf({run_ids:Array(UUID)}, p.run_id)) AS run_place,
       toUInt32(indexOf({metrics:Array(String)}, p.metric)) AS metric_place,
       min(p.x) AS x0, max(p.x) AS x1,
       min(if(isFinite(p.value), p.value, nan)) AS lo, max(if(isFinite(p.value), p.value, nan)) AS hi,
       countIf(isNaN(p.value)) AS n_nan, countIf(p.value = inf) AS n_pos, countIf(p.value = -inf) AS n_neg
FROM
(
    SELECT run_id, metric, value, x,
           (max(x) OVER (PARTITION BY metric) - min(x) OVER (PARTITION BY metric)) / {pixels:UInt32} AS width,
           if(width > 0, floor((x - min(x) OVER (PARTITION BY metric)) / width), 0) AS stretch
    FROM placed
) AS p
GROUP BY p.run_id, p.metric, p.stretch
ORDER BY metric_place, run_place, x0
