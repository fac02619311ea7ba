-- Points that are stored of messages, by offset. A row is a message: its offset, and distinct points. A message that was
-- inserted twice must not, before a merge, make up for points that are not there.
-- runs Array(Tuple(String, UUID)): projects and runs to look in. partition Int32. first, last Int64: offsets, inclusive.
SELECT src_offset, uniqExact(metric, step) AS points
FROM points
WHERE (project, run_id) IN {runs:Array(Tuple(String, UUID))} AND src_partition = {partition:Int32}
  AND src_offset BETWEEN {first:Int64} AND {last:Int64}
GROUP BY src_offset
