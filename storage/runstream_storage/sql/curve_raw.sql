-- A branch of curves.sql: stretches of the metrics in `raw`, from points. Parameters as there.
-- $$skip leaves out pairs that curve_visible.sql reads.
SELECT $keys,
       intDiv($x - $first, $width) AS stretch,
       min($x) AS x0, max($x) AS x1,
       min(if(isFinite(value), value, nan)) AS low, max(if(isFinite(value), value, nan)) AS high,
       countIf(isNaN(value)) AS nans, countIf(value = inf) AS positive, countIf(value = -inf) AS negative
FROM points FINAL
WHERE project = {project:String} AND run_id $of_runs AND metric $of_raw
  $in_window $of_rank $skip
GROUP BY $grouped
