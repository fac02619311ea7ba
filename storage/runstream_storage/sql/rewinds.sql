-- Rewinds of a run, the newest first. A row is a rewind: rank, the attempt that it began, the last step kept of that
-- rank's attempts before it, when (microseconds since 1970), and who caused it.
-- project String. run_id UUID.
SELECT rank, attempt, step, ts_us, actor
FROM rewinds FINAL
WHERE project = {project:String} AND run_id = {run_id:UUID}
ORDER BY ts_us DESC, rank
