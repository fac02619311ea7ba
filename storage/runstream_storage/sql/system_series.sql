-- What was sampled of the machines of runs, by run, node, metric and device. A row is a series: run, node, metric, device,
-- rank of the process that sampled, samples, when the first and the last was taken (microseconds since 1970), the last value
-- and the largest (NaN when none is a number).
-- project String. run_ids Array(UUID).
SELECT toString(run_id) AS run, toString(node) AS of_node, toString(metric) AS of_metric, toString(device) AS of_device, rank,
       count() AS n, min(ts_us) AS first_us, max(ts_us) AS last_us, argMax(value, ts_us) AS last, max(if(isFinite(value), value, nan)) AS high
FROM system_points FINAL
WHERE project = {project:String} AND run_id IN {run_ids:Array(UUID)}
GROUP BY run_id, node, metric, device, rank
ORDER BY indexOf({run_ids:Array(UUID)}, run_id), node, metric, device, rank
SETTINGS do_not_merge_across_partitions_select_final = 1
