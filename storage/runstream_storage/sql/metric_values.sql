-- Last, first, smallest and largest value of metrics of runs, in no order; what a page of runs shows. A row is a metric of
-- a run; low and high are NaN when every value is. The orders of last, (attempt, step, ver), and first, (step, ver), are
-- packed into numbers, which compare in half the time of tuples.
-- projects Array(String). run_ids Array(UUID). metrics Array(String).
WITH bitXor(reinterpretAsUInt64(s.last.step), 9223372036854775808) AS last_step,
     bitXor(reinterpretAsUInt64(s.first.step), 9223372036854775808) AS first_step,
     bitOr(bitShiftLeft(toUInt256(s.last.attempt), 128), bitOr(bitShiftLeft(toUInt256(last_step), 64), toUInt256(s.last.ver))) AS newest,
     bitOr(bitShiftLeft(toUInt128(first_step), 64), toUInt128(s.first.ver)) AS oldest
SELECT toString(run_id) AS run, metric, argMax(s.last.value, newest) AS last_value, argMin(s.first.value, oldest) AS first_value,
       min(s.min) AS low, max(s.max) AS high
FROM run_summary AS s
WHERE project IN {projects:Array(String)} AND run_id IN {run_ids:Array(UUID)} AND metric IN {metrics:Array(String)}
  AND (run_id, metric) NOT IN (SELECT run_id, metric FROM summary_exact
                               WHERE project IN {projects:Array(String)} AND run_id IN {run_ids:Array(UUID)})
GROUP BY run_id, metric
UNION ALL
SELECT toString(run_id) AS run, metric, e.last.value AS last_value, e.first.value AS first_value, e.min AS low, e.max AS high
FROM summary_exact AS e FINAL
WHERE project IN {projects:Array(String)} AND run_id IN {run_ids:Array(UUID)} AND metric IN {metrics:Array(String)} AND n > 0
