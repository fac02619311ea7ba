-- Which steps each writer logged, in no order. A row is a metric of a writer, or a part of one that is not merged yet: run,
-- metric, rank, writer, attempt, first and last step, lowest and highest step that it logged again or out of order (lowest
-- above highest: none), values, how many of them are NaN and infinite, first and last time in microseconds since 1970.
-- A few rows are put together by who asks: to group them here takes as long as to read them.
-- project String. run_ids Array(UUID). metrics Array(String).
SELECT toString(run_id) AS run, metric, rank, writer, last.attempt AS attempt, first.step AS s0, last.step AS s1,
       redo_lo, redo_hi, n, n_nan, n_inf, first_us, last_us
FROM run_summary
WHERE project = {project:String} AND run_id IN {run_ids:Array(UUID)} AND metric IN {metrics:Array(String)}
