-- A branch of curves.sql: stretches from the visible points of runs that were forked or rewound, or whose steps were logged
-- more than once. Parameters as there, and arrays of one length, an element a stretch of steps to read: of_runs Array(UUID): for which run.
-- of_metrics Array(String). sources Array(UUID): whose points. depths Array(UInt16): ancestors are deeper; the lowest
-- counts. los, his Array(Int64): the steps, inclusive. odds Array(UInt8): 1: only values that are not finite. cuts
-- Array(Array(Tuple(UInt32, UInt32, Int64))): rank, attempt, step of rewinds. low_step, high_step Int64: around all steps.
SELECT $keys,
       intDiv($x - $first, $width) AS stretch,
       min($x) AS x0, max($x) AS x1,
       min(if(isFinite(value), value, nan)) AS low, max(if(isFinite(value), value, nan)) AS high,
       countIf(isNaN(value)) AS nans, countIf(value = inf) AS positive, countIf(value = -inf) AS negative
FROM
(
    SELECT k.run_id AS run_id, p.metric AS metric, p.rank AS rank, p.step AS step, $ts_us AS ts_us, $value AS value, $odd AS odd
    FROM
    (
        SELECT run_id, metric, rank, step, attempt, ts_us, value
        FROM points FINAL
        WHERE project = {project:String} AND run_id IN {sources:Array(UUID)} AND metric IN {of_metrics:Array(String)}
          AND step BETWEEN {low_step:Int64} AND {high_step:Int64} $of_rank
    ) AS p
    INNER JOIN
    (
        SELECT link.1 AS run_id, link.2 AS metric, link.3 AS source, link.4 AS depth, link.5 AS lo, link.6 AS hi, link.7 AS odd, link.8 AS cuts
        FROM
        (
            SELECT arrayJoin(arrayZip({of_runs:Array(UUID)}, {of_metrics:Array(String)}, {sources:Array(UUID)}, {depths:Array(UInt16)},
                                      {los:Array(Int64)}, {his:Array(Int64)}, {odds:Array(UInt8)},
                                      {cuts:Array(Array(Tuple(UInt32, UInt32, Int64)))})) AS link
        )
    ) AS k ON k.source = p.run_id AND k.metric = p.metric
    WHERE p.step BETWEEN k.lo AND k.hi
      AND NOT arrayExists(cut -> cut.1 = p.rank AND cut.2 > p.attempt AND cut.3 < p.step, k.cuts)
    $newest
)
WHERE (odd = 0 OR NOT isFinite(value)) AND step BETWEEN {from_step:Int64} AND {to_step:Int64} AND $x BETWEEN {from:Int64} AND {to:Int64}
GROUP BY $grouped
