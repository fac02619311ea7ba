-- A branch of curves.sql: stretches from the buckets between those steps that curve_visible.sql reads. Parameters as there,
-- and arrays of one length, an element a row of buckets: t_runs Array(UUID): for which run. t_metrics Array(String). t_sources
-- Array(UUID): whose buckets. t_los, t_his Array(Int64): first and last bucket.
SELECT $keys,
       intDiv($x0 - $first, $width) AS stretch,
       min($x0) AS x0, max($x1) AS x1, min(least_value) AS low, max(largest_value) AS high,
       0 AS nans, 0 AS positive, 0 AS negative
FROM
(
    SELECT k.run_id AS run_id, c.metric AS metric, c.bucket AS bucket, c.lvl AS lvl, c.least_value AS least_value,
           c.largest_value AS largest_value, c.t0 AS t0, c.t1 AS t1, c.s0 AS s0, c.s1 AS s1
    FROM
    (
        SELECT run_id, metric, lvl, bucket, b.min AS least_value, b.max AS largest_value, t0, t1, s0, s1
        FROM curve AS b
        WHERE project = {project:String} AND run_id IN {t_sources:Array(UUID)} AND metric IN {t_metrics:Array(String)}
          AND lvl = $level AND lvl IN {levels:Array(UInt8)}
          $of_rank
    ) AS c
    INNER JOIN
    (
        SELECT link.1 AS run_id, link.2 AS metric, link.3 AS source, link.4 AS lo, link.5 AS hi
        FROM
        (
            SELECT arrayJoin(arrayZip({t_runs:Array(UUID)}, {t_metrics:Array(String)}, {t_sources:Array(UUID)}, {t_los:Array(Int64)},
                                      {t_his:Array(Int64)})) AS link
        )
    ) AS k ON k.source = c.run_id AND k.metric = c.metric
    WHERE c.bucket BETWEEN k.lo AND k.hi
)
WHERE bucket BETWEEN bitShiftRight({from_step:Int64}, lvl) AND bitShiftRight({to_step:Int64}, lvl) AND $x1 >= {from:Int64} AND $x0 <= {to:Int64}
GROUP BY $grouped
