-- The number of the first of the newest rows of a console that one process wrote, so that these are all that is read. A row
-- is that number. States of one line are several rows, so there may be fewer lines from there on.
-- project String. run_id UUID. limit UInt32. The conditions are built by queries/console.py; none is about the text.
SELECT min(line)
FROM
(
    SELECT line
    FROM console
    WHERE project = {project:String} AND run_id = {run_id:UUID} $where
    ORDER BY writer DESC, line DESC
    LIMIT {limit:UInt32}
)
