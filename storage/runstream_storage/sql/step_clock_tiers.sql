-- As step_clock.sql, from the tier of 2^10 steps a bucket: for runs that were neither forked nor rewound.
-- project String. run_id UUID. metric String. knots UInt32: for the other question.
SELECT DISTINCT knot.1 AS time_us, knot.2 AS of_step
FROM
(
    SELECT arrayJoin([(min(c.t0), min(c.s0)), (max(c.t1), max(c.s1))]) AS knot
    FROM curve AS c
    WHERE project = {project:String} AND run_id = {run_id:UUID} AND metric = {metric:String} AND lvl = 10
    GROUP BY bucket
)
ORDER BY time_us, of_step
