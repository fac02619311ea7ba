-- Curves of several metrics and runs as envelopes, in order of metric, run and x. A row is a stretch of one curve: places of
-- the run and the metric in the lists (from 1), first and last x in the stretch, smallest and largest finite value (NaN if
-- there is none), and how many values are NaN, +inf and -inf.
-- $$branches are those that the metrics need, because planning a branch takes longer than most of them run: curve_raw.sql
-- (points, where they are few), curve_tiers.sql (where they are many) and curve_odd.sql; curve_visible.sql and curve_parts.sql
-- where values were hidden or replaced. skip_runs Array(UUID), skip_metrics Array(String): the pairs that those two read.
-- project String. run_ids Array(UUID). metrics Array(String). raw, tiers, odd Array(String): metrics by source.
-- A single branch is asked by itself, with these columns and in this order: $$keys and $$grouped say so to it.
-- $$level, $$first and $$width are the tier of a metric, where its grid begins and how many units of x a stretch has: of each of
-- `metrics` levels Array(UInt8) and firsts, widths Array(Int64), and for a single one level, first, width, which takes less
-- planning. $$of_runs, $$of_raw, $$of_tiers, $$of_odd: which runs and metrics; run_id UUID and metric String for a single one. $$in_window, $$of_buckets: only these steps or buckets, empty for all; $$of_level, $$of_rank: AND rank = rank. from, to
-- Int64: window of x, inclusive. from_step, to_step Int64: the same or wider, in steps. rank Int64: only this rank. starts Array(Int64): for x=relative, when each run began (us since 1970).
-- $$x, $$x0, $$x1 stand for the x of a point and for the first and last x of a tier's bucket.
SELECT toUInt32(indexOf({run_ids:Array(UUID)}, run_id)) AS run_place,
       toUInt32(indexOf({metrics:Array(String)}, metric)) AS metric_place, min(x0) AS first_x, max(x1) AS last_x,
       min(low), max(high), sum(nans), sum(positive), sum(negative)
FROM
(
$branches
)
GROUP BY run_id, metric, stretch
ORDER BY metric_place, run_place, first_x
