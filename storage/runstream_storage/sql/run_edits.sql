-- What people set of runs, by id, in no order. A row is an attribute of a run: run id, name of the attribute and its value.
-- projects Array(String): the projects to look in. run_ids Array(UUID): the runs.
SELECT toString(run_id) AS run, key, value
FROM run_attrs FINAL
WHERE project IN {projects:Array(String)} AND run_id IN {run_ids:Array(UUID)} AND is_deleted = 0
