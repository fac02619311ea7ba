-- A part of corrections_write.sql: the visible points of runs that were rewound or forked. Parameters as there.
        SELECT k.run_id AS run_id, p.metric AS metric, p.rank AS rank, p.step AS step,
               argMin((p.ver, p.attempt, p.ts_us, p.value), k.depth) AS point, point.1 AS ver, point.2 AS attempt, point.3 AS ts_us,
               point.4 AS value, 65535 - min(k.depth) AS nearness
        FROM
        (
            SELECT run_id, metric, rank, step, ver, attempt, ts_us, value
            FROM points FINAL
            WHERE project = {project:String} AND run_id IN {sources:Array(UUID)} AND metric IN {metrics:Array(String)}
        ) AS p
        INNER JOIN (SELECT * FROM run_sources WHERE project = {project:String} AND run_id IN {run_ids:Array(UUID)}) AS k ON k.source = p.run_id
        WHERE p.step <= k.upto AND NOT arrayExists(cut -> cut.1 = p.rank AND cut.2 > p.attempt AND cut.3 < p.step, k.cuts)
          AND (k.run_id, p.metric) IN arrayZip({run_ids:Array(UUID)}, {metrics:Array(String)})
        GROUP BY k.run_id, p.metric, p.rank, p.step
