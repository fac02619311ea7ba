-- The newest stored version of points, in no order. A row is a metric and a step: its newest ver and the bits of that value.
-- project String. run UUID. rank UInt32. low, high Int64: steps, inclusive. steps Array(Int64): only these; empty: all.
SELECT toString(metric) AS metric, step, max(ver) AS newest, argMax(reinterpretAsInt64(value), ver) AS bits
FROM points
WHERE project = {project:String} AND run_id = {run:UUID} AND rank = {rank:UInt32}
  AND (step BETWEEN {low:Int64} AND {high:Int64}) AND (empty({steps:Array(Int64)}) OR step IN {steps:Array(Int64)})
GROUP BY metric, step
