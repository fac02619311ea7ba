-- A branch of curves.sql: values that are not finite, which the tiers leave out, of the metrics in `odd`. Parameters as
-- there. $$skip leaves out pairs that curve_visible.sql reads.
SELECT $keys,
       intDiv($x - $first, $width) AS stretch,
       min($x) AS x0, max($x) AS x1, nan AS low, nan AS high,
       countIf(isNaN(value)) AS nans, countIf(value = inf) AS positive, countIf(value = -inf) AS negative
FROM points FINAL
WHERE project = {project:String} AND run_id $of_runs AND metric $of_odd
  AND NOT isFinite(value)
  $in_window $of_rank $skip
GROUP BY $grouped
