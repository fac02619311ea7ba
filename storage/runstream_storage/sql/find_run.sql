-- Runs that a person may mean, the best match first, at most 10: a run id, the user's own id, the beginning of a run id
-- (at least 4 characters), or a name. A row is project, run id, and how it matched (0: whole id, 1: own id, 2: name,
-- 3: beginning of the id).
-- text String: what the person typed. project String: where to look; empty: everywhere.
SELECT project, toString(run_id) AS run,
       multiIf(run = lower({text:String}), 0, external_id = {text:String}, 1, run_name = {text:String}, 2, 3) AS matched
FROM v_runs
WHERE ({project:String} = '' OR project = {project:String})
  AND (run = lower({text:String}) OR external_id = {text:String} OR run_name = {text:String}
       OR (length({text:String}) >= 4 AND startsWith(run, lower({text:String}))))
ORDER BY matched, created_at DESC
LIMIT 10
