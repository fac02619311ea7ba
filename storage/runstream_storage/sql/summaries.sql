-- Metrics of runs, by metric and run. A row is a metric of a run over all its writers; min and max are NaN when every
-- value is, times are microseconds since 1970.
-- project String. run_ids Array(UUID). metrics Array(String): which; empty: all.
SELECT toString(run_id) AS run, metric, max(newest).4 AS last, max(newest).2 AS last_step,
       min(oldest).3 AS first, min(oldest).1 AS first_step, min(smallest) AS low, max(largest) AS high, sum(logged) AS n, sum(nans) AS n_nan, sum(infinities) AS n_inf,
       min(oldest_us) AS first_us, max(newest_us) AS last_us, uniqExact(rank) AS ranks
FROM
(
    SELECT run_id, metric, rank, max(s.last) AS newest, min(s.first) AS oldest, min(s.min) AS smallest,
           max(s.max) AS largest, max(s.n) AS logged, max(s.n_nan) AS nans, max(s.n_inf) AS infinities,
           min(s.first_us) AS oldest_us, max(s.last_us) AS newest_us
    FROM run_summary AS s
    WHERE project = {project:String} AND run_id IN {run_ids:Array(UUID)}
      AND (empty({metrics:Array(String)}) OR metric IN {metrics:Array(String)})
    GROUP BY metric, run_id, rank, writer
)
GROUP BY metric, run_id
ORDER BY metric, run
