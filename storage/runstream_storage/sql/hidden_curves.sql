-- What earlier attempts of a run logged and no view shows any more, as envelopes in order of metric, attempt and x. A row is
-- a stretch: place of the metric in the list (from 1), attempt, first and last x, smallest and largest finite value (NaN if
-- there is none), and how many values are NaN, +inf and -inf.
-- project String. run_id UUID. metrics Array(String). x String: step, time or relative. start Int64: for relative, when the run
-- began in microseconds since 1970. from, to Int64: window of x, inclusive. pixels UInt32: stretches at most of a metric.
SELECT toUInt32(indexOf({metrics:Array(String)}, toString(h.metric))) AS metric_place, h.attempt AS attempt,
       min(h.x) AS x0, max(h.x) AS x1,
       min(if(isFinite(h.value), h.value, nan)) AS lo, max(if(isFinite(h.value), h.value, nan)) AS hi,
       countIf(isNaN(h.value)) AS n_nan, countIf(h.value = inf) AS n_pos, countIf(h.value = -inf) AS n_neg
FROM
(
    SELECT metric, attempt, x, value, intDiv(x - min(x) OVER (PARTITION BY metric),
           intDiv(max(x) OVER (PARTITION BY metric) - min(x) OVER (PARTITION BY metric), {pixels:UInt32}) + 1) AS stretch
    FROM
    (
        SELECT metric, attempt, value,
               multiIf({x:String} = 'step', step, {x:String} = 'time', toUnixTimestamp64Micro(ts),
                       toUnixTimestamp64Micro(ts) - {start:Int64}) AS x
        FROM v_points_all
        WHERE project = {project:String} AND run_id = {run_id:UUID} AND metric IN {metrics:Array(String)} AND hidden = 1
    )
    WHERE x BETWEEN {from:Int64} AND {to:Int64}
) AS h
GROUP BY h.metric, h.attempt, h.stretch
ORDER BY metric_place, attempt, x0
