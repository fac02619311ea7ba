-- At what time a run was at which step, by one metric. A row is a knot, in order of time: microseconds since 1970, step.
-- Few points are all knots; of many, the first and the last of each of about $knots stretches.
-- project String. run_id UUID. metric String. knots UInt32.
WITH (SELECT (min(step), max(step)) FROM v_points
      WHERE project = {project:String} AND run_id = {run_id:UUID} AND metric = {metric:String}) AS ends
SELECT DISTINCT knot.1 AS time_us, knot.2 AS of_step
FROM
(
    SELECT arrayJoin([min((toUnixTimestamp64Micro(ts), step)), max((toUnixTimestamp64Micro(ts), step))]) AS knot
    FROM v_points
    WHERE project = {project:String} AND run_id = {run_id:UUID} AND metric = {metric:String}
    GROUP BY intDiv(step - ends.1, greatest(1, intDiv(ends.2 - ends.1, {knots:UInt32})))
)
ORDER BY time_us, of_step
