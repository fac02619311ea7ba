-- From when to when the machines of runs were sampled. A row is a run that has samples; microseconds since 1970.
-- project String. run_ids Array(UUID).
SELECT toString(run_id) AS run, min(ts_us) AS first_us, max(ts_us) AS last_us
FROM system_points
WHERE project = {project:String} AND run_id IN {run_ids:Array(UUID)}
GROUP BY run_id
