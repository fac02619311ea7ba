-- A branch of curves.sql: stretches of the metrics in `tiers`, from the buckets of their level. Parameters as there.
-- $$skip leaves out pairs that curve_visible.sql reads.
SELECT $keys,
       intDiv($x0 - $first, $width) AS stretch,
       min($x0) AS x0, max($x1) AS x1, min(c.min) AS low, max(c.max) AS high,
       0 AS nans, 0 AS positive, 0 AS negative
FROM curve AS c
WHERE project = {project:String} AND run_id $of_runs AND metric $of_tiers
  AND $of_level
  $of_buckets $of_rank $skip
GROUP BY $grouped
