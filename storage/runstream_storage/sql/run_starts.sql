-- When runs began. A row is run id and start in microseconds since 1970.
-- project String. run_ids Array(UUID).
SELECT toString(run_id), created_us
FROM runs FINAL
WHERE project = {project:String} AND run_id IN {run_ids:Array(UUID)}
