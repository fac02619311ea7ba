-- Histograms that runs show at some steps, in order of name, run, step and rank. A row is a histogram; ts_us is microseconds
-- since 1970, edges rise and are one more than counts. Parameters as in shown.sql. rank Int64: of this rank; -1: of all.
-- steps Array(Int64): which.
SELECT toString(run_id) AS run, toString(name) AS of_name, rank, step, ts_us, edges, counts, n_nan, n_inf
FROM
(
$shown
)
WHERE ({rank:Int64} < 0 OR rank = {rank:Int64}) AND step IN {steps:Array(Int64)}
ORDER BY name, indexOf({of_runs:Array(UUID)}, run_id), step, rank
