-- Who changed what, the newest first. A row is a change: when (microseconds since 1970), writer and seq (which tell changes of
-- one moment apart), who, run (nil: about none) and its name, kind of the event, subject (empty: the run), action, value.
-- project String. run_ids Array(UUID): about these runs; empty: all. subjects Array(String): artifacts and models; empty: all.
-- kinds Array(String): kinds of events; empty: all. actor String: a part of who did it, in any case; empty: all.
-- from, to Int64: microseconds since 1970, inclusive. before_us Int64, before_writer UInt64, before_seq Int64, before_subject,
-- before_action String: the last row of the page before. limit UInt32.
SELECT a.ts_us, a.writer, a.seq, a.actor, toString(a.run_id) AS run, n.run_name AS run_name, toString(a.kind) AS kind, a.subject,
       a.action, a.value
FROM
(
    SELECT *
    FROM audit FINAL
    WHERE project = {project:String} AND ts_us BETWEEN {from:Int64} AND least({to:Int64}, {before_us:Int64})
      AND (empty({run_ids:Array(UUID)}) OR run_id IN {run_ids:Array(UUID)})
      AND (empty({subjects:Array(String)}) OR subject IN {subjects:Array(String)})
      AND (empty({kinds:Array(String)}) OR kind IN {kinds:Array(String)})
      AND (empty({actor:String}) OR positionCaseInsensitiveUTF8(actor, {actor:String}) > 0)
      AND (ts_us, writer, seq, subject, action)
          < ({before_us:Int64}, {before_writer:UInt64}, {before_seq:Int64}, {before_subject:String}, {before_action:String})
    ORDER BY ts_us DESC, writer DESC, seq DESC, subject DESC, action DESC
    LIMIT {limit:UInt32}
    SETTINGS use_skip_indexes_if_final = 1, use_skip_indexes_if_final_exact_mode = 1
) AS a
LEFT ANY JOIN (SELECT run_id, run_name FROM run_names WHERE project = {project:String}) AS n ON n.run_id = a.run_id
ORDER BY a.ts_us DESC, a.writer DESC, a.seq DESC, a.subject DESC, a.action DESC
