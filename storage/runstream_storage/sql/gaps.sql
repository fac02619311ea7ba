-- What is missing: sequence numbers that were announced or passed over, and that are not durable. A row is a hole of one
-- writer and stream: run, writer, attempt, rank, stream, first and last number, whether the hole is at the end of what
-- the writer announced, whether the writer has ended, and whether its last sign of life is so old that nothing can be on its
-- way any more: what was ingested since is a minute newer, or ten minutes have passed.
-- A metrics number is a row: a call of log(). A hole lies before, between or behind the stretches of `coverage`; what
-- was announced is the number of rows in the writer's end, or in the last heartbeat.
-- project String. run_ids Array(UUID): which runs; empty: all of the project. limit UInt32.
WITH
(SELECT max(newest_ms) * 1000 FROM ingest_marks WHERE endsWith(topic, '.metrics')) AS marked_us,
(SELECT max(last_us) FROM liveness) AS heard_us,
greatest(if(marked_us > 0, marked_us, heard_us) - 60000000, toUnixTimestamp64Micro(now64(6)) - 600000000) AS settled_us,
stretches AS
(
    SELECT run_id, writer, toString(c.stream) AS stream, c.start AS start, max(c.end) AS end, max(c.attempt) AS attempt, max(c.rank) AS rank
    FROM coverage AS c
    WHERE project = {project:String} AND (empty({run_ids:Array(UUID)}) OR run_id IN {run_ids:Array(UUID)})
    GROUP BY run_id, writer, stream, start
),
announced AS
(
    SELECT run_id, writer, max(l.attempt) AS attempt, max(l.last_us) <= settled_us AS settled, max(l.terminal) AS ending, ending.1 > 0 AS ended,
           if(ended AND ending.5 >= 0, ending.5, max(l.metric_seq)) AS total
    FROM liveness AS l
    WHERE project = {project:String} AND (empty({run_ids:Array(UUID)}) OR run_id IN {run_ids:Array(UUID)})
    GROUP BY run_id, writer
)
SELECT toString(h.run_id) AS run, h.writer AS writer, h.attempt AS attempt, h.rank AS rank, h.stream AS stream,
       h.first AS first, h.last AS last, h.at_end AS at_end, h.ended AS ended,
       h.settled AS settled
FROM
(
    SELECT s.run_id AS run_id, s.writer AS writer, s.attempt AS attempt, s.rank AS rank, s.stream AS stream,
           s.covered AS first, s.start - 1 AS last, false AS at_end, a.ended AS ended, true AS settled
    FROM
    (
        SELECT *, max(end) OVER (PARTITION BY run_id, writer, stream ORDER BY start
                                 ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS covered
        FROM stretches
    ) AS s
    LEFT JOIN announced AS a ON a.run_id = s.run_id AND a.writer = s.writer
    WHERE s.start > s.covered
    UNION ALL
    SELECT a.run_id, a.writer, a.attempt, s.rank, 'metrics', s.covered, a.total - 1, true, a.ended, a.settled
    FROM announced AS a
    LEFT JOIN
    (
        SELECT run_id, writer, maxIf(end, stream = 'metrics') AS covered, max(rank) AS rank
        FROM stretches
        GROUP BY run_id, writer
    ) AS s ON s.run_id = a.run_id AND s.writer = a.writer
    WHERE a.total > s.covered
) AS h
WHERE h.run_id NOT IN (SELECT run_id FROM run_names WHERE project = {project:String} AND deleted = 1)
ORDER BY h.run_id DESC, attempt, rank, writer, stream, first
LIMIT {limit:UInt32}
