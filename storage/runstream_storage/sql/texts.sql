-- Texts that runs show at one step each: the last one that a run, name and rank has. A row is a text, in order of name, run
-- and rank; ts_us is microseconds since 1970. Parameters as in shown.sql; high_step is the step asked for. rank Int64:
-- of this rank; -1: of all. limit UInt32.
SELECT toString(run_id) AS run, toString(name) AS of_name, rank, step, ts_us, text, toString(mime) AS of_mime
FROM
(
$shown
)
WHERE {rank:Int64} < 0 OR rank = {rank:Int64}
ORDER BY name, indexOf({of_runs:Array(UUID)}, run_id), rank, step DESC
LIMIT 1 BY name, run_id, rank
LIMIT {limit:UInt32}
