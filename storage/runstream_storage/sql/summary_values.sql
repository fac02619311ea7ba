-- Values of run.summary that people set, by run and name. A row as in params.sql.
-- project String. run_ids Array(UUID). names Array(String): which; empty: all.
SELECT toString(run_id) AS run, name, kind, text, number
FROM summary_values FINAL
WHERE project = {project:String} AND run_id IN {run_ids:Array(UUID)}
  AND (empty({names:Array(String)}) OR name IN {names:Array(String)}) AND is_deleted = 0
ORDER BY run, name
