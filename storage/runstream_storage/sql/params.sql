-- Params of runs, by run and name. A row is a param: run, name, kind, text, and number (NaN when it is none).
-- project String. run_ids Array(UUID). names Array(String): which; empty: all.
SELECT toString(run_id) AS run, name, kind, text, number
FROM params FINAL
WHERE project = {project:String} AND run_id IN {run_ids:Array(UUID)}
  AND (empty({names:Array(String)}) OR name IN {names:Array(String)}) AND is_deleted = 0
ORDER BY run, name
