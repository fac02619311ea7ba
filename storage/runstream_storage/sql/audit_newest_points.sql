-- The newest stored version of points, in no order. A row is a metric and a step: its newest ver and the bits of that value.
-- FINAL, as every answer: of two rows of one version the one that was inserted last counts.
-- project String. run UUID. rank UInt32. low, high Int64: steps, inclusive. steps Array(Int64): only these; empty: all.
SELECT toString(metric) AS metric, step, ver AS newest, reinterpretAsInt64(value) AS bits
FROM points FINAL
WHERE project = {project:String} AND run_id = {run:UUID} AND rank = {rank:UInt32}
  AND (step BETWEEN {low:Int64} AND {high:Int64}) AND (empty({steps:Array(Int64)}) OR step IN {steps:Array(Int64)})
