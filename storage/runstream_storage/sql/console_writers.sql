-- The processes of a run that wrote to their consoles, the newest attempt and the lowest rank first. A row is a writer: its
-- attempt, rank, lines in all and of stderr, and when the first and the last line began (microseconds since 1970).
-- project String. run_id UUID.
SELECT writer, max(attempt) AS of_attempt, max(rank) AS of_rank, count() AS lines, countIf(stream = 2) AS errors,
       min(ts_us) AS first_us, max(ts_us) AS last_us
FROM console FINAL
WHERE project = {project:String} AND run_id = {run_id:UUID}
GROUP BY writer
ORDER BY of_attempt DESC, of_rank, first_us, writer
SETTINGS do_not_merge_across_partitions_select_final = 1
