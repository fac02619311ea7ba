-- Computes rows of summary_exact from the visible points, $$points: those of corrections_plain.sql, or of
-- corrections_moved.sql for runs that were rewound or forked. A pair without a visible point gets a row with n = 0.
-- project String. run_ids Array(UUID), metrics Array(String), vers Array(UInt64): the pairs. sources Array(UUID): the runs
-- whose points they show.
INSERT INTO summary_exact (project, metric, run_id, min, max, first, last, first_us, last_us, n, n_nan, n_inf, ranks, ver)
WITH arrayJoin(arrayZip({run_ids:Array(UUID)}, {metrics:Array(String)}, {vers:Array(UInt64)})) AS pair
SELECT {project:String}, w.metric, w.run_id, if(p.points > 0, p.low, nan), if(p.points > 0, p.high, nan), p.oldest, p.newest,
       p.oldest_us, p.newest_us, p.points, p.nans, p.infinities, p.of_ranks, w.ver
FROM (SELECT pair.1 AS run_id, pair.2 AS metric, pair.3 AS ver) AS w
LEFT JOIN
(
    SELECT run_id, metric, min(value) AS low, max(value) AS high, argMin((step, ver, value), (step, ver)) AS oldest,
           argMax((attempt, step, ver, value), (nearness, attempt, step, ver)) AS newest,
           min(ts_us) AS oldest_us, max(ts_us) AS newest_us, count() AS points, countIf(isNaN(value)) AS nans,
           countIf(isInfinite(value)) AS infinities, uniqExact(rank) AS of_ranks
    FROM
    (
$points
    )
    GROUP BY run_id, metric
) AS p ON p.run_id = w.run_id AND p.metric = w.metric
