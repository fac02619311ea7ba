-- The documented views and their columns, in order. A row is a column: view, what the view is, column, type, what it is.
-- No parameters.
SELECT c.table, t.comment, c.name, c.type, c.comment
FROM system.columns AS c
INNER JOIN system.tables AS t ON t.database = c.database AND t.name = c.table
WHERE c.database = currentDatabase() AND startsWith(c.table, 'v_')
ORDER BY c.table, c.position
