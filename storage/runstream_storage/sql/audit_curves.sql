-- Buckets of a tier that are narrower than the points in them, by run and metric. A row is a metric of a run: how many such
-- buckets, and the first. A tier may be wider where a step was logged again: readers take raw points there. Never narrower.
-- project String. runs Array(UUID). lvl UInt8: the tier; a bucket holds 2^lvl steps.
WITH rewritten AS
(
    SELECT run_id, toString(m.metric) AS metric
    FROM metric_summary AS m
    WHERE project = {project:String} AND run_id IN {runs:Array(UUID)}
    GROUP BY run_id, m.metric
    HAVING uniqExact(rank, writer) > uniqExact(rank) OR max(redo_hi) >= min(redo_lo)
)
SELECT toString(run_id) AS run, metric, count(), min(bucket)
FROM
(
    SELECT run_id, toString(v.metric) AS metric, rank, bitShiftRight(step, {lvl:UInt8}) AS bucket,
           min(step) AS s0, max(step) AS s1, minIf(value, isFinite(value)) AS low,
           maxIf(value, isFinite(value)) AS high, countIf(isFinite(value)) AS finite, 1 AS there
    FROM points AS v FINAL
    WHERE project = {project:String} AND run_id IN {runs:Array(UUID)}
    GROUP BY run_id, metric, rank, bucket
) AS p
FULL OUTER JOIN
(
    SELECT run_id, toString(v.metric) AS metric, rank, bucket, min(v.s0) AS s0, max(v.s1) AS s1,
           min(v.min) AS low, max(v.max) AS high, 1 AS there
    FROM curve AS v
    WHERE project = {project:String} AND run_id IN {runs:Array(UUID)} AND lvl = {lvl:UInt8}
    GROUP BY run_id, metric, rank, bucket
) AS c USING (run_id, metric, rank, bucket)
WHERE p.there != c.there OR c.s0 > p.s0 OR c.s1 < p.s1 OR (p.finite > 0 AND NOT (c.low <= p.low AND c.high >= p.high))
   OR ((c.s0 < p.s0 OR c.s1 > p.s1 OR (p.finite > 0 AND (c.low < p.low OR c.high > p.high)))
       AND (run_id, metric) NOT IN (SELECT run_id, metric FROM rewritten))
GROUP BY run, metric
ORDER BY run, metric
