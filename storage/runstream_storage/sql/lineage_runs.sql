-- Names of runs, and whether people deleted them. A row is a run that is known: project, run, name, deleted.
-- projects Array(String). run_ids Array(UUID).
SELECT project, toString(run_id) AS run, run_name, deleted
FROM run_names
WHERE project IN {projects:Array(String)} AND run_id IN {run_ids:Array(UUID)}
