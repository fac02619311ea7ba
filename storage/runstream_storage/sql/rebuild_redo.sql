-- Where writers logged steps again, out of order, or over another writer's: points do not tell, once they are merged. A row
-- is a metric of a writer: run, metric, rank, writer, lowest and highest such step.
-- project String. run_ids Array(UUID).
SELECT toString(run_id) AS run, metric, rank, w.1 AS writer, w.4 AS lo, w.5 AS hi
FROM
(
    SELECT run_id, metric, rank,
           arraySort(groupArray((s0, s1, writer, redo_lo, redo_hi))) AS spans,
           arrayExists((left, right) -> right.1 <= left.2, arrayPopBack(spans), arrayPopFront(spans)) AS overlap,
           arrayJoin(arrayMap(span -> (span.3, span.1, span.2, least(span.4, if(overlap, span.1, span.4)),
                                       greatest(span.5, if(overlap, span.2, span.5))), spans)) AS w
    FROM
    (
        SELECT run_id, metric, rank, writer, min(s.first).1 AS s0, max(s.last).2 AS s1, min(s.redo_lo) AS redo_lo, max(s.redo_hi) AS redo_hi
        FROM run_summary AS s
        WHERE project = {project:String} AND run_id IN {run_ids:Array(UUID)}
        GROUP BY run_id, metric, rank, writer
    )
    GROUP BY run_id, metric, rank
)
WHERE lo <= hi
