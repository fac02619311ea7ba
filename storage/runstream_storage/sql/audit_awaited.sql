-- Versions of artifacts that were logged and are not there, in order of time. A row is one: project, run, kind of the event
-- that is awaited, name, files, state (pending, lost), and why it is lost.
-- project, run String: only these; empty: all.
SELECT project, toString(run_id) AS run, kind, name, files, state, reason
FROM v_awaited
WHERE ({project:String} = '' OR project = {project:String})
  AND ({run:String} = '' OR run_id = toUUIDOrZero({run:String}))
ORDER BY logged_at, run, name
