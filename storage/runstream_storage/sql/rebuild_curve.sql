-- Computes the tiers of curves from the points of runs.
-- project String. run_ids Array(UUID).
INSERT INTO curve (project, run_id, metric, rank, lvl, bucket, min, max, t0, t1, s0, s1)
SELECT project, run_id, metric, rank, toUInt8(arrayJoin([10, 12]) AS level) AS lvl, bitShiftRight(step, level) AS bucket,
       min(if(isFinite(value), value, nan)), max(if(isFinite(value), value, nan)), min(ts_us), max(ts_us), min(step), max(step)
FROM points FINAL
WHERE project = {project:String} AND run_id IN {run_ids:Array(UUID)}
GROUP BY project, run_id, metric, rank, lvl, bucket
