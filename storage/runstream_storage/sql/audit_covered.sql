-- Stretches of sequence numbers that are durable, in no order. A row is project, run, writer, stream, and the stretch's first
-- number and the one behind its last.
-- writers Array(Tuple(String, UUID, UInt64)).
SELECT project, toString(run_id), writer, stream, start, max(end)
FROM coverage
WHERE (project, run_id, writer) IN {writers:Array(Tuple(String, UUID, UInt64))}
GROUP BY project, run_id, writer, stream, start
