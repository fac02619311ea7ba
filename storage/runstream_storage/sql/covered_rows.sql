-- How many rows of metrics are durable, of all of these runs together. One row.
-- project String. run_ids Array(UUID).
SELECT toInt64(sum(end - start)) AS covered
FROM
(
    SELECT start, max(c.end) AS end
    FROM coverage AS c
    WHERE project = {project:String} AND run_id IN {run_ids:Array(UUID)} AND stream = 'metrics'
    GROUP BY run_id, writer, start
)
