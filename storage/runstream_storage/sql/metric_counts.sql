-- How many values were logged, by metric and run, in no order.
-- projects Array(String). run_ids Array(UUID). metrics Array(String).
SELECT toString(run_id) AS run, metric, sum(logged) AS n
FROM
(
    SELECT run_id, metric, max(s.n) AS logged
    FROM run_summary AS s
    WHERE project IN {projects:Array(String)} AND run_id IN {run_ids:Array(UUID)} AND metric IN {metrics:Array(String)}
    GROUP BY run_id, metric, rank, writer
)
GROUP BY run_id, metric
