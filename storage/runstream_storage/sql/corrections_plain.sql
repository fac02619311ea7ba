-- A part of corrections_write.sql: the points of runs that were neither rewound nor forked. Parameters as there.
        SELECT run_id, metric, rank, step, ver, attempt, ts_us, value, 0 AS nearness
        FROM points FINAL
        WHERE project = {project:String} AND run_id IN {run_ids:Array(UUID)} AND metric IN {metrics:Array(String)}
          AND (run_id, metric) IN arrayZip({run_ids:Array(UUID)}, {metrics:Array(String)})
