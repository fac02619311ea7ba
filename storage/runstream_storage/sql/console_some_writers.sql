-- Up to two writers of a run's console: whether one wrote alone. A row is a writer.
-- project String. run_id UUID. The conditions are built by queries/console.py.
SELECT DISTINCT writer
FROM console
WHERE project = {project:String} AND run_id = {run_id:UUID} $where
LIMIT 2
