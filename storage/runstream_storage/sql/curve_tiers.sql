-- A branch of curves.sql: stretches of the metrics in `tiers`, from the buckets of their level. Parameters as there.
-- $$skip leaves out pairs that curve_visible.sql reads.
SELECT run_id, metric,
       intDiv($x0 - $first, $width) AS stretch,
       min($x0) AS x0, max($x1) AS x1, min(c.min) AS low, max(c.max) AS high,
       0 AS nans, 0 AS positive, 0 AS negative
FROM curve AS c
WHERE project = {project:String} AND run_id IN {run_ids:Array(UUID)} AND metric IN {tiers:Array(String)}
  AND lvl = $level
  AND lvl IN {levels:Array(UInt8)}
  AND bucket BETWEEN bitShiftRight({from_step:Int64}, lvl) AND bitShiftRight({to_step:Int64}, lvl)
  AND $x1 >= {from:Int64} AND $x0 <= {to:Int64} $of_rank $skip
GROUP BY run_id, metric, stretch
