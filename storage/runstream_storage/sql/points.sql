-- Raw points, in order of run, metric, rank and step. A row is the newest value of one metric, rank and step.
-- project String. run_ids Array(UUID). metrics Array(String): which; empty: all. from_step, to_step Int64: inclusive.
SELECT toString(p.run_id) AS run_id, p.run_name AS run_name, toString(p.metric) AS metric, p.rank AS rank,
       p.step AS step, p.ts AS ts, p.value AS value
FROM v_points AS p
WHERE p.project = {project:String} AND p.run_id IN {run_ids:Array(UUID)}
  AND (empty({metrics:Array(String)}) OR p.metric IN {metrics:Array(String)})
  AND p.step BETWEEN {from_step:Int64} AND {to_step:Int64}
ORDER BY p.run_id, p.metric, p.rank, p.step
