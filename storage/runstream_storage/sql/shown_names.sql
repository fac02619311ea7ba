-- Names of texts or of histograms that runs show, by name. A row is a name: how many runs and steps it has, its first and
-- its last step. Parameters as in shown.sql.
SELECT toString(name) AS of_name, uniqExact(run_id) AS runs, uniqExact(step) AS steps, min(step) AS first, max(step) AS last
FROM
(
$shown
)
GROUP BY name
ORDER BY name
