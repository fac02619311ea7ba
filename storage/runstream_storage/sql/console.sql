-- Lines that the processes of a run wrote to their consoles. A row is a line as it was last changed: writer, number, when it
-- began (microseconds since 1970), stream (1 stdout, 2 stderr), rank, attempt, text and colours.
-- project String. run_id UUID. limit UInt32. The conditions and the order are built by queries/console.py.
SELECT writer, line, ts_us, stream, rank, attempt, text, styles
FROM console FINAL
WHERE project = {project:String} AND run_id = {run_id:UUID} $where
ORDER BY $order
LIMIT {limit:UInt32}
SETTINGS do_not_merge_across_partitions_select_final = 1, use_skip_indexes_if_final = 1,
         use_skip_indexes_if_final_exact_mode = 1
