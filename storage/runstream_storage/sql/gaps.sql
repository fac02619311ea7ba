-- What is missing: sequence numbers that were announced or passed over, and that are not durable. A row is a hole of one
-- writer and stream: run, writer, attempt, rank, stream, first and last number, whether the hole is at the end of what
-- the writer announced, whether the writer has ended, whether its last sign of life is so old that nothing can be on its
-- way any more (what was ingested since is a minute newer, or ten minutes have passed), and why, if the library said so.
-- A metrics number is a row: a call of log(). A hole lies before, between or behind the stretches of `coverage`; what
-- was announced is the number of rows in the writer's end, or in the last heartbeat.
-- project String. run_ids Array(UUID): which runs; empty: all of the project. limit UInt32.
SELECT toString(g.run_id) AS run, g.writer AS writer, g.attempt AS attempt, g.rank AS rank, g.stream AS stream, g.first_seq AS first,
       g.last_seq AS last, g.at_end AS at_end, g.ended AS ended, g.settled OR NOT g.at_end AS settled,
       if(g.stream = 'metrics',
          arrayFirst(r -> r.1 = g.writer AND r.2 <= g.last_seq AND r.3 > g.first_seq, w.reasons).4, '') AS reason
FROM
(
    SELECT run_id, writer, attempt, rank, stream, ended, settled, arrayJoin(holes) AS hole, hole.1 AS first_seq, hole.2 - 1 AS last_seq,
           hole.1 >= reached AS at_end
    FROM run_gaps
    WHERE project = {project:String} AND (empty({run_ids:Array(UUID)}) OR run_id IN {run_ids:Array(UUID)})
      AND run_id NOT IN (SELECT run_id FROM run_names WHERE project = {project:String} AND deleted = 1)
    ORDER BY run_id DESC, attempt, rank, writer, stream, first_seq
    LIMIT {limit:UInt32}
) AS g
LEFT ANY JOIN (SELECT run_id, reasons FROM gap_reasons WHERE project = {project:String}) AS w ON w.run_id = g.run_id
ORDER BY g.run_id DESC, attempt, rank, writer, stream, first
