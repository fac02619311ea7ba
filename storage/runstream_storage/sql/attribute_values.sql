-- Values of one attribute, those of most runs first. A row is a value that is not empty and its number of runs.
-- projects Array(String). attribute String: group, job_type, user, host or state. prefix String: how the value begins, in
-- any case. limit UInt32.
SELECT multiIf({attribute:String} = 'group', group_name, {attribute:String} = 'job_type', job_type,
               {attribute:String} = 'user', user, {attribute:String} = 'host', host, state) AS name,
       count() AS runs
FROM v_runs
WHERE project IN {projects:Array(String)} AND name != '' AND startsWith(lower(name), lower({prefix:String}))
GROUP BY name
ORDER BY runs DESC, name
LIMIT {limit:UInt32}
