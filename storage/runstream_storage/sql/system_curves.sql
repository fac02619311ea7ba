-- Samples of the machines of runs as envelopes, in order of run, metric, node, device, rank and time. A row is a stretch of
-- time: when its first and its last sample were taken (microseconds since 1970), smallest and largest value, mean.
-- project String. metrics Array(String). nodes, devices Array(String): only these; empty: all. pixels Int64: stretches a
-- curve. And arrays of one length, an element a run: run_ids Array(UUID). froms, tos Array(Int64): microseconds, inclusive.
WITH
    transform(run_id, {run_ids:Array(UUID)}, {froms:Array(Int64)}, toInt64(0)) AS from_us,
    transform(run_id, {run_ids:Array(UUID)}, {tos:Array(Int64)}, toInt64(0)) AS to_us
SELECT toUInt32(indexOf({run_ids:Array(UUID)}, run_id)) AS run_place, toString(metric) AS of_metric, toString(node) AS of_node,
       toString(device) AS of_device, rank, min(ts_us) AS t0, max(ts_us) AS t1, min(value) AS low, max(value) AS high,
       avg(value) AS mean
FROM system_points FINAL
WHERE project = {project:String} AND run_id IN {run_ids:Array(UUID)} AND metric IN {metrics:Array(String)}
  AND (empty({nodes:Array(String)}) OR node IN {nodes:Array(String)})
  AND (empty({devices:Array(String)}) OR device IN {devices:Array(String)})
  AND ts_us BETWEEN from_us AND to_us AND isFinite(value)
GROUP BY run_id, metric, node, device, rank, intDiv(ts_us - from_us, intDiv(to_us - from_us, {pixels:Int64}) + 1) AS stretch
ORDER BY run_place, indexOf({metrics:Array(String)}, metric), node, device, rank, stretch
SETTINGS do_not_merge_across_partitions_select_final = 1
