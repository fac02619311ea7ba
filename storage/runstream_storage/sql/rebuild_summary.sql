-- Computes metric_summary, and so run_summary, from the points of runs: of each attempt the newest value of a step.
-- project String. run_ids Array(UUID). of_runs Array(UUID), of_metrics Array(String), ranks Array(UInt32), writers
-- Array(UInt64), los, his Array(Int64): the rows of rebuild_redo.sql.
INSERT INTO metric_summary (project, metric, run_id, rank, writer, min, max, first, last, first_us, last_us, n, n_nan, n_inf, redo_lo, redo_hi)
SELECT project, metric, run_id, rank, writer, low, high, oldest, newest, oldest_us, newest_us, values, nans, infinities,
       if(k.lo <= k.hi AND k.writer > 0, k.lo, 9223372036854775807), if(k.lo <= k.hi AND k.writer > 0, k.hi, -9223372036854775808)
FROM
(
    SELECT project, metric, run_id, rank, writer, min(value) AS low, max(value) AS high,
           argMin((step, ver, value), (step, ver)) AS oldest, argMax((attempt, step, ver, value), (step, ver)) AS newest,
           min(ts_us) AS oldest_us, max(ts_us) AS newest_us, count() AS values, countIf(isNaN(value)) AS nans,
           countIf(isInfinite(value)) AS infinities
    FROM points FINAL
    WHERE project = {project:String} AND run_id IN {run_ids:Array(UUID)}
    GROUP BY project, metric, run_id, rank, writer
) AS p
LEFT JOIN
(
    SELECT link.1 AS run_id, link.2 AS metric, link.3 AS rank, link.4 AS writer, link.5 AS lo, link.6 AS hi
    FROM (SELECT arrayJoin(arrayZip({of_runs:Array(UUID)}, {of_metrics:Array(String)}, {ranks:Array(UInt32)},
                                    {writers:Array(UInt64)}, {los:Array(Int64)}, {his:Array(Int64)})) AS link)
) AS k ON k.run_id = p.run_id AND k.metric = p.metric AND k.rank = p.rank AND k.writer = p.writer
SETTINGS do_not_merge_across_partitions_select_final = 1
