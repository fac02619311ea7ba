-- Those of some runs that people deleted. A row is a run id.
-- project String. run_ids Array(UUID).
SELECT toString(run_id)
FROM run_attrs FINAL
WHERE project = {project:String} AND run_id IN {run_ids:Array(UUID)} AND key = 'deleted' AND is_deleted = 0
