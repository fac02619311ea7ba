-- What became of the bytes of media. A row is a content that something was said about: sha256 in hex; stored, or lost. The last
-- word of any of the runs counts, for a content is one object.
-- project String. run_ids Array(UUID): that logged it. sha256s Array(String).
SELECT sha256, toString(argMax(state, ver))
FROM media_contents
WHERE project = {project:String} AND run_id IN {run_ids:Array(UUID)} AND sha256 IN {sha256s:Array(String)}
GROUP BY sha256
