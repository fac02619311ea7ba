-- How many points there are, by metric and run, in no order.
-- projects Array(String). run_ids Array(UUID). metrics Array(String).
SELECT toString(run_id) AS run, metric, sum(logged) AS n
FROM
(
    SELECT run_id, metric, max(s.n) AS logged
    FROM run_summary AS s
    WHERE project IN {projects:Array(String)} AND run_id IN {run_ids:Array(UUID)} AND metric IN {metrics:Array(String)}
      AND (run_id, metric) NOT IN (SELECT run_id, metric FROM summary_exact
                                   WHERE project IN {projects:Array(String)} AND run_id IN {run_ids:Array(UUID)})
    GROUP BY run_id, metric, rank, writer
    UNION ALL
    SELECT run_id, metric, n AS logged
    FROM summary_exact FINAL
    WHERE project IN {projects:Array(String)} AND run_id IN {run_ids:Array(UUID)} AND metric IN {metrics:Array(String)} AND n > 0
)
GROUP BY run_id, metric
