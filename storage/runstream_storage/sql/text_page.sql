-- Texts of a series, in order of step and rank. A row is a text; ts_us is microseconds since 1970. Parameters as in
-- shown.sql. rank Int64: of this rank; -1: of all. contains String: only texts with this in them, in any case; empty: all.
-- limit UInt32. offset UInt64.
SELECT toString(run_id) AS run, toString(name) AS of_name, rank, step, ts_us, text, toString(mime) AS of_mime
FROM
(
$shown
)
WHERE ({rank:Int64} < 0 OR rank = {rank:Int64})
  AND (empty({contains:String}) OR positionCaseInsensitiveUTF8(text, {contains:String}) > 0)
ORDER BY step $direction, rank
LIMIT {limit:UInt32} OFFSET {offset:UInt64}
