-- The first and the last writer of a run's console by number: whether one wrote alone. A row is a writer.
-- project String. run_id UUID. The conditions are built by queries/console.py.
SELECT DISTINCT writer
FROM
(
    (SELECT writer FROM console WHERE project = {project:String} AND run_id = {run_id:UUID} $where ORDER BY writer LIMIT 1)
    UNION ALL
    (SELECT writer FROM console WHERE project = {project:String} AND run_id = {run_id:UUID} $where ORDER BY writer DESC LIMIT 1)
)
