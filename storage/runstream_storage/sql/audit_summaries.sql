-- Summaries that are not those of the visible points, by run and metric. A row is a metric of a run: values as the summary
-- has them and as counted, then the smallest and the largest value in the same way (NaN: there is none).
-- project String. runs Array(UUID).
SELECT toString(run_id) AS run, metric, s.n, p.n, s.low, p.low, s.high, p.high
FROM
(
    SELECT run_id, toString(v.metric) AS metric, n, n_nan, n_inf, first_step,
           ifNull(min, nan) AS low, ifNull(max, nan) AS high
    FROM v_summary AS v
    WHERE project = {project:String} AND run_id IN {runs:Array(UUID)}
) AS s
FULL OUTER JOIN
(
    SELECT run_id, toString(v.metric) AS metric, count() AS n, countIf(isNaN(value)) AS n_nan,
           countIf(isInfinite(value)) AS n_inf, min(step) AS first_step,
           ifNull(minOrNullIf(value, NOT isNaN(value)), nan) AS low,
           ifNull(maxOrNullIf(value, NOT isNaN(value)), nan) AS high
    FROM v_points AS v
    WHERE project = {project:String} AND run_id IN {runs:Array(UUID)}
    GROUP BY run_id, metric
) AS p USING (run_id, metric)
WHERE s.n != p.n OR s.n_nan != p.n_nan OR s.n_inf != p.n_inf OR s.first_step != p.first_step
   OR (s.low != p.low AND NOT (isNaN(s.low) AND isNaN(p.low)))
   OR (s.high != p.high AND NOT (isNaN(s.high) AND isNaN(p.high)))
ORDER BY run, metric
