-- Curves of several metrics and runs as envelopes, in order of metric, run and x. A row is a stretch of one curve: places of
-- the run and the metric in the lists (from 1), first and last x in the stretch, smallest and largest finite value (NaN if
-- there is none), and how many values are NaN, +inf and -inf.
-- Three sources: points where they are few (raw), the tier of `lvl` where they are many (tiers), and for these the points
-- that are not finite, which the tiers leave out.
-- project String. run_ids Array(UUID). metrics Array(String). raw, tiers, odd Array(String): metrics by source.
-- levels Array(UInt8): the tier of each of `metrics`. firsts, widths Array(Int64): where the grid of each of `metrics` begins,
-- and how many units of x a stretch has. from, to Int64: window of x, inclusive. from_step, to_step Int64: the same or wider,
-- in steps. rank Int64: only this rank; -1: all. starts Array(Int64): for x=relative, when each run began (us since 1970).
-- $$x, $$x0, $$x1 stand for the x of a point and for the first and last x of a tier's bucket.
SELECT toUInt32(indexOf({run_ids:Array(UUID)}, run_id)) AS run_place,
       toUInt32(indexOf({metrics:Array(String)}, metric)) AS metric_place,
       min(x0) AS first_x, max(x1) AS last_x, min(low) AS lo, max(high) AS hi,
       sum(nans) AS n_nan, sum(positive) AS n_pos, sum(negative) AS n_neg
FROM
(
    SELECT run_id, metric,
           intDiv($x - transform(metric, {metrics:Array(String)}, {firsts:Array(Int64)}, toInt64(0)),
                  transform(metric, {metrics:Array(String)}, {widths:Array(Int64)}, toInt64(1))) AS stretch,
           min($x) AS x0, max($x) AS x1,
           min(if(isFinite(value), value, nan)) AS low, max(if(isFinite(value), value, nan)) AS high,
           countIf(isNaN(value)) AS nans, countIf(value = inf) AS positive, countIf(value = -inf) AS negative
    FROM points FINAL
    WHERE project = {project:String} AND run_id IN {run_ids:Array(UUID)} AND metric IN {raw:Array(String)}
      AND step BETWEEN {from_step:Int64} AND {to_step:Int64} AND $x BETWEEN {from:Int64} AND {to:Int64}
      AND ({rank:Int64} < 0 OR rank = {rank:Int64})
    GROUP BY run_id, metric, stretch

    UNION ALL

    SELECT run_id, metric,
           intDiv($x0 - transform(metric, {metrics:Array(String)}, {firsts:Array(Int64)}, toInt64(0)),
                  transform(metric, {metrics:Array(String)}, {widths:Array(Int64)}, toInt64(1))) AS stretch,
           min($x0), max($x1), min(c.min), max(c.max), 0, 0, 0
    FROM curve AS c
    WHERE project = {project:String} AND run_id IN {run_ids:Array(UUID)} AND metric IN {tiers:Array(String)}
      AND lvl = transform(metric, {metrics:Array(String)}, {levels:Array(UInt8)}, toUInt8(0))
      AND lvl IN {levels:Array(UInt8)}
      AND bucket BETWEEN bitShiftRight({from_step:Int64}, lvl) AND bitShiftRight({to_step:Int64}, lvl)
      AND $x1 >= {from:Int64} AND $x0 <= {to:Int64}
      AND ({rank:Int64} < 0 OR rank = {rank:Int64})
    GROUP BY run_id, metric, stretch

    UNION ALL

    SELECT run_id, metric,
           intDiv($x - transform(metric, {metrics:Array(String)}, {firsts:Array(Int64)}, toInt64(0)),
                  transform(metric, {metrics:Array(String)}, {widths:Array(Int64)}, toInt64(1))) AS stretch,
           min($x), max($x), nan, nan, countIf(isNaN(value)), countIf(value = inf), countIf(value = -inf)
    FROM points FINAL
    WHERE project = {project:String} AND run_id IN {run_ids:Array(UUID)} AND metric IN {odd:Array(String)}
      AND NOT isFinite(value)
      AND step BETWEEN {from_step:Int64} AND {to_step:Int64} AND $x BETWEEN {from:Int64} AND {to:Int64}
      AND ({rank:Int64} < 0 OR rank = {rank:Int64})
    GROUP BY run_id, metric, stretch
)
GROUP BY run_id, metric, stretch
ORDER BY metric_place, run_place, first_x
