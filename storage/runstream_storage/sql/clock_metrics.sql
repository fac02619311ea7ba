-- Metrics of runs that may tell which step a run was at when, the best first: those with the most points. A row is a run,
-- a metric and how many points it has.
-- project String. run_ids Array(UUID). metric String: only this one; empty: all.
SELECT toString(run_id) AS run, toString(metric) AS of_metric, sum(points) AS n
FROM
(
    SELECT run_id, metric, rank, writer, max(s.n) AS points
    FROM run_summary AS s
    WHERE project = {project:String} AND run_id IN {run_ids:Array(UUID)} AND (empty({metric:String}) OR metric = {metric:String})
    GROUP BY run_id, metric, rank, writer
)
GROUP BY run_id, metric
ORDER BY run, n DESC, of_metric
LIMIT 1 BY run_id
