-- Runs that are hidden, by id. A row is a run id.
-- projects Array(String). keys Array(String): the attributes that hide a run, such as deleted. limit UInt32.
SELECT DISTINCT toString(run_id) AS run
FROM run_attrs FINAL
WHERE project IN {projects:Array(String)} AND key IN {keys:Array(String)} AND is_deleted = 0
ORDER BY run
LIMIT {limit:UInt32}
