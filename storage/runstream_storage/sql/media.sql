-- Media that runs show at one step each: the last one that a run, name and rank has. A row is an item, in order of name,
-- run, rank and place in its list; ts_us is microseconds since 1970, size bytes, metadata a JSON object.
-- Items of a longer list that was logged at that step before are left out: they are older than the first item.
-- Parameters as in shown.sql; high_step is the step asked for. rank Int64: of this rank; -1: of all. limit UInt32.
SELECT toString(run_id) AS run, toString(name) AS of_name, rank, step, idx, ts_us, toString(kind) AS of_kind, sha256, size,
       toString(mime) AS of_mime, caption, metadata
FROM
(
    SELECT *, max(step) OVER (PARTITION BY run_id, name, rank) AS last_step,
           max(if(idx = 0, ver, 0)) OVER (PARTITION BY run_id, name, rank, step) AS list_ver
    FROM
    (
$shown
    )
    WHERE {rank:Int64} < 0 OR rank = {rank:Int64}
)
WHERE step = last_step AND ver >= list_ver
ORDER BY name, indexOf({of_runs:Array(UUID)}, run_id), rank, idx
LIMIT {limit:UInt32}
