-- Names of runs, and whether people deleted them. A row is a run that is known.
-- project String. run_ids Array(UUID).
SELECT toString(run_id) AS run, run_name, deleted
FROM run_names
WHERE project = {project:String} AND run_id IN {run_ids:Array(UUID)}
