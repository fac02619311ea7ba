-- How many lines of a run's consoles match. Parameters as in console.sql.
SELECT count()
FROM console FINAL
WHERE project = {project:String} AND run_id = {run_id:UUID} $where
SETTINGS do_not_merge_across_partitions_select_final = 1, use_skip_indexes_if_final = 1,
         use_skip_indexes_if_final_exact_mode = 1
