-- Which steps each writer logged, in no order. A row is a metric of a writer: run, metric, rank, attempt, first and last
-- step, lowest and highest step that it logged again or out of order (lowest above highest: none), values, how many of
-- them are not finite, first and last time in microseconds since 1970.
-- project String. run_ids Array(UUID). metrics Array(String).
SELECT toString(run_id) AS run, metric, rank, max(s.last.attempt) AS attempt, min(s.first.step) AS s0, max(s.last.step) AS s1,
       min(s.redo_lo) AS redo_lo, max(s.redo_hi) AS redo_hi, max(s.n) AS logged, max(s.n_nan) + max(s.n_inf) AS odd,
       min(s.first_us) AS t0, max(s.last_us) AS t1
FROM run_summary AS s
WHERE project = {project:String} AND run_id IN {run_ids:Array(UUID)} AND metric IN {metrics:Array(String)}
GROUP BY run_id, metric, rank, writer
