-- Metrics of runs, by metric and run. A row is a metric of a run over all its visible points; min and max are NaN when every
-- value is, times are microseconds since 1970.
-- project String. run_ids Array(UUID). metrics Array(String): which; empty: all.
SELECT toString(run_id) AS run, metric, newest.4 AS last, newest.2 AS last_step, oldest.3 AS first, oldest.1 AS first_step,
       low, high, points AS n, nans AS n_nan, infinities AS n_inf, oldest_us AS first_us, newest_us AS last_us, of_ranks AS ranks
FROM
(
    SELECT run_id, metric, max(newest) AS newest, min(oldest) AS oldest, min(smallest) AS low, max(largest) AS high,
           sum(logged) AS points, sum(nans) AS nans, sum(infinities) AS infinities, min(oldest_us) AS oldest_us,
           max(newest_us) AS newest_us, toUInt32(uniqExact(rank)) AS of_ranks
    FROM
    (
        SELECT run_id, metric, rank, max(s.last) AS newest, min(s.first) AS oldest, min(s.min) AS smallest,
               max(s.max) AS largest, max(s.n) AS logged, max(s.n_nan) AS nans, max(s.n_inf) AS infinities,
               min(s.first_us) AS oldest_us, max(s.last_us) AS newest_us
        FROM run_summary AS s
        WHERE project = {project:String} AND run_id IN {run_ids:Array(UUID)}
          AND (empty({metrics:Array(String)}) OR metric IN {metrics:Array(String)})
          AND (run_id, metric) NOT IN (SELECT run_id, metric FROM summary_exact
                                       WHERE project = {project:String} AND run_id IN {run_ids:Array(UUID)})
        GROUP BY metric, run_id, rank, writer
    )
    GROUP BY metric, run_id
    UNION ALL
    SELECT run_id, metric, last, first, min, max, n, n_nan, n_inf, first_us, last_us, ranks
    FROM summary_exact FINAL
    WHERE project = {project:String} AND run_id IN {run_ids:Array(UUID)}
      AND (empty({metrics:Array(String)}) OR metric IN {metrics:Array(String)}) AND n > 0
)
ORDER BY metric, run
