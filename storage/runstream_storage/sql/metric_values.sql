-- Last, first, smallest and largest value of metrics of runs, in no order; what a page of runs shows. A row is a metric of
-- a run; low and high are NaN when every value is.
-- projects Array(String). run_ids Array(UUID). metrics Array(String).
SELECT toString(run_id) AS run, metric, max(last).4 AS last_value, min(first).3 AS first_value, min(min) AS low, max(max) AS high
FROM run_summary
WHERE project IN {projects:Array(String)} AND run_id IN {run_ids:Array(UUID)} AND metric IN {metrics:Array(String)}
GROUP BY run_id, metric
