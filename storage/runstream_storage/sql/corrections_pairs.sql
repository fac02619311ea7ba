-- Metrics of runs that need a new row of summary_exact, by run and metric. A row is a pair: run id, metric, how much was
-- durable of it, and how many points its writers have logged.
-- What is durable only grows: rows covered, values counted, rewinds and ancestors of all runs whose points the pair shows.
-- project String. run_ids Array(UUID): the runs, one for each of sources Array(UUID): the run whose points it shows; the run
-- itself is one of its sources. moved Array(UInt8): 1 where the run was rewound or forked, so that all its metrics count.
WITH arrayJoin(arrayZip({run_ids:Array(UUID)}, {sources:Array(UUID)}, {moved:Array(UInt8)})) AS link
SELECT toString(k.run_id) AS run, k.metric AS name, k.durable AS durable_now, k.logged AS values
FROM
(
    SELECT l.run_id AS run_id, s.metric AS metric, sum(s.logged) AS logged, sum(s.logged + c.covered + w.cut + 1) AS durable
    FROM (SELECT link.1 AS run_id, link.2 AS source, link.3 AS moved) AS l
    INNER JOIN
    (
        SELECT run_id, metric, sum(n) AS logged, max(mixed) AS mixed
        FROM
        (
            SELECT run_id, metric, rank, sum(n) AS n, arraySort(groupArray((s0, s1))) AS spans,
                   arrayExists((left, right) -> right.1 <= left.2, arrayPopBack(spans), arrayPopFront(spans))
                       OR max(redo_hi) >= min(redo_lo) AS mixed
            FROM
            (
                SELECT run_id, metric, rank, min(s.first).1 AS s0, max(s.last).2 AS s1, max(s.n) AS n,
                       min(s.redo_lo) AS redo_lo, max(s.redo_hi) AS redo_hi
                FROM run_summary AS s
                WHERE project = {project:String} AND run_id IN {sources:Array(UUID)}
                GROUP BY run_id, metric, rank, writer
            )
            GROUP BY run_id, metric, rank
        )
        GROUP BY run_id, metric
    ) AS s ON s.run_id = l.source
    LEFT JOIN
    (
        SELECT run_id, toUInt64(sum(end - start)) AS covered
        FROM
        (
            SELECT run_id, start, max(c.end) AS end
            FROM coverage AS c
            WHERE project = {project:String} AND run_id IN {sources:Array(UUID)} AND stream = 'metrics'
            GROUP BY run_id, writer, start
        )
        GROUP BY run_id
    ) AS c ON c.run_id = l.source
    LEFT JOIN
    (
        SELECT run_id, uniqExact(rank, attempt) AS cut
        FROM rewinds
        WHERE project = {project:String} AND run_id IN {sources:Array(UUID)}
        GROUP BY run_id
    ) AS w ON w.run_id = l.source
    GROUP BY run_id, metric
    HAVING max(l.moved) OR max(s.mixed)
) AS k
LEFT JOIN
(
    SELECT run_id, metric, max(ver) AS ver
    FROM summary_exact
    WHERE project = {project:String} AND run_id IN {run_ids:Array(UUID)}
    GROUP BY run_id, metric
) AS e ON e.run_id = k.run_id AND e.metric = k.metric
WHERE k.durable > e.ver
ORDER BY run, name
