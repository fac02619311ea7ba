-- Registered models, the most recently changed first. A row is a model: project, name, versions that are not deleted, the
-- newest of them, stages and aliases as (name, version), tags, description, first and newest event (microseconds since 1970),
-- who caused that, and whether people deleted it.
-- projects Array(String). search String: only models with this in name, description or tags, in any case; empty: all.
-- deleted UInt8: 1: deleted ones, too.
SELECT project, model, versions, latest, arrayMap(s -> (s.1, s.2), stages) AS of_stages,
       arrayMap(a -> (a.1, a.2), aliases) AS of_aliases, tags, description, toUnixTimestamp64Micro(created_at) AS created_us,
       toUnixTimestamp64Micro(changed_at) AS changed_us, changed_by, deleted
FROM v_models
WHERE project IN {projects:Array(String)} AND (NOT deleted OR {deleted:UInt8} = 1)
  AND (empty({search:String})
       OR arrayExists(word -> positionCaseInsensitiveUTF8(word, {search:String}) > 0, arrayConcat([model, description], tags)))
ORDER BY changed_us DESC, model
