-- How long each metric of the chosen runs is. A row is a metric: the largest number of points of one of the runs, its
-- first and last x over the runs, and whether any value is not finite.
-- project String. run_ids Array(UUID). metrics Array(String). x String: step, time or relative.
-- starts Array(Int64): for relative, the start of each of run_ids in microseconds since 1970.
SELECT metric, max(points) AS most, min(x0) AS first_x, max(x1) AS last_x, max(odd) > 0 AS has_odd
FROM
(
    SELECT metric, run_id, sum(n) AS points, sum(n_odd) AS odd,
           multiIf({x:String} = 'step', min(s0), {x:String} = 'time', min(t0),
                   min(t0) - transform(run_id, {run_ids:Array(UUID)}, {starts:Array(Int64)}, toInt64(0))) AS x0,
           multiIf({x:String} = 'step', max(s1), {x:String} = 'time', max(t1),
                   max(t1) - transform(run_id, {run_ids:Array(UUID)}, {starts:Array(Int64)}, toInt64(0))) AS x1
    FROM
    (
        SELECT metric, run_id, max(s.n) AS n, max(s.n_nan) + max(s.n_inf) AS n_odd, min(s.first).1 AS s0, max(s.last).2 AS s1,
               min(s.first_us) AS t0, max(s.last_us) AS t1
        FROM run_summary AS s
        WHERE project = {project:String} AND run_id IN {run_ids:Array(UUID)} AND metric IN {metrics:Array(String)}
        GROUP BY metric, run_id, rank, writer
    )
    GROUP BY metric, run_id
)
GROUP BY metric
