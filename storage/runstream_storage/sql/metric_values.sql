-- Aggregates of metrics of runs, in no order; what a page of runs shows. A row is a metric of a run: places of the run and
-- of the metric in the lists (from 1), 1 where the row stands in place of the other one, points (0: the metric is
-- hidden; of others only that there are some), and $$names. low and high are NaN when every value is. Only columns that are
-- asked for are read: $$parts and $$sums make them. $$exact: metric_values_exact.sql, where there are such rows.
-- projects Array(String). run_ids Array(UUID). metrics Array(String).
SELECT toUInt32(indexOf({run_ids:Array(UUID)}, run_id)) AS run_place, toUInt32(indexOf({metrics:Array(String)}, metric)) AS metric_place,
       0 AS exact, toUInt64(1) AS points, $sums
FROM
(
    SELECT run_id, metric, $parts
    FROM run_summary
    WHERE project IN {projects:Array(String)} AND run_id IN {run_ids:Array(UUID)} AND metric IN {metrics:Array(String)}
) AS s
GROUP BY run_id, metric
$exact