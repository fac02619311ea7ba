-- A branch of metric_values.sql: the rows that stand in place of sums; $$values of them. Parameters as there.
UNION ALL
SELECT toUInt32(indexOf({run_ids:Array(UUID)}, run_id)), toUInt32(indexOf({metrics:Array(String)}, metric)), 1, n, $values
FROM summary_exact AS e FINAL
WHERE project IN {projects:Array(String)} AND run_id IN {run_ids:Array(UUID)} AND metric IN {metrics:Array(String)}
