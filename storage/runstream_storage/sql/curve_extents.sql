-- How long each metric of the chosen runs is. A row is a metric: the largest number of points of one of the runs, its
-- first and last x over the runs, whether any value is not finite, whether a step was logged again or by several writers,
-- and whether a run was forked or rewound, so that run_sources says what it shows.
-- project String. run_ids Array(UUID). metrics Array(String). x String: step, time or relative.
-- starts Array(Int64): for relative, the start of each of run_ids in microseconds since 1970.
WITH (SELECT count() FROM runs WHERE project = {project:String} AND run_id IN {run_ids:Array(UUID)} AND forked_from != '') AS forks,
     (SELECT count() FROM rewinds WHERE project = {project:String} AND run_id IN {run_ids:Array(UUID)}) AS rewound
SELECT metric, max(points) AS most, min(x0) AS first_x, max(x1) AS last_x, max(odd) > 0 AS has_odd, max(mixed) AS is_mixed,
       forks + rewound > 0 AS moved
FROM
(
    SELECT metric, run_id, sum(n) AS points, sum(n_odd) AS odd, max(of_mixed) AS mixed,
           multiIf({x:String} = 'step', min(s0), {x:String} = 'time', min(t0),
                   min(t0) - transform(run_id, {run_ids:Array(UUID)}, {starts:Array(Int64)}, toInt64(0))) AS x0,
           multiIf({x:String} = 'step', max(s1), {x:String} = 'time', max(t1),
                   max(t1) - transform(run_id, {run_ids:Array(UUID)}, {starts:Array(Int64)}, toInt64(0))) AS x1
    FROM
    (
        SELECT metric, run_id, sum(n) AS n, sum(n_odd) AS n_odd, min(w0) AS s0, max(w1) AS s1, min(t0) AS t0, max(t1) AS t1,
               arraySort(groupArray((w0, w1))) AS spans,
               arrayExists((left, right) -> right.1 <= left.2, arrayPopBack(spans), arrayPopFront(spans))
                   OR max(redo_hi) >= min(redo_lo) AS of_mixed
        FROM
        (
            SELECT metric, run_id, rank, max(s.n) AS n, max(s.n_nan) + max(s.n_inf) AS n_odd, min(s.first).1 AS w0, max(s.last).2 AS w1,
                   min(s.first_us) AS t0, max(s.last_us) AS t1, min(s.redo_lo) AS redo_lo, max(s.redo_hi) AS redo_hi
            FROM run_summary AS s
            WHERE project = {project:String} AND run_id IN {run_ids:Array(UUID)} AND metric IN {metrics:Array(String)}
            GROUP BY metric, run_id, rank, writer
        )
        GROUP BY metric, run_id, rank
    )
    GROUP BY metric, run_id
)
GROUP BY metric
UNION ALL
SELECT '', toUInt64(0), toInt64(0), toInt64(0), 0, 0, 1
WHERE forks > 0
