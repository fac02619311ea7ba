-- The run that this one was forked from and the runs that were forked from it, the parent first, then the newest child. A
-- row is such a run: whether it is the parent, its id, its name (empty: not known here), and the last step taken over.
-- project String. run_id UUID. limit UInt32.
SELECT f.is_parent AS is_parent, toString(f.other) AS run, n.run_name AS run_name, f.fork_step AS step
FROM
(
    SELECT true AS is_parent, toUUIDOrZero(forked_from) AS other, fork_step, created_us
    FROM runs FINAL
    WHERE project = {project:String} AND run_id = {run_id:UUID} AND forked_from != ''
    UNION ALL
    SELECT false, run_id, fork_step, created_us
    FROM runs FINAL
    WHERE project = {project:String} AND forked_from = toString({run_id:UUID})
) AS f
LEFT ANY JOIN (SELECT run_id, run_name, deleted FROM run_names WHERE project = {project:String}) AS n ON n.run_id = f.other
WHERE f.is_parent OR n.deleted = 0
ORDER BY is_parent DESC, f.created_us DESC
LIMIT {limit:UInt32}
