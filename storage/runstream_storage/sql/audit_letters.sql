-- Dead letters among messages, in no order. A row is an offset and what became of it (empty: it waits).
-- topic String. partition Int32. first, last Int64: offsets, inclusive.
SELECT offset, status
FROM dead_letters FINAL
WHERE topic = {topic:String} AND partition = {partition:Int32} AND offset BETWEEN {first:Int64} AND {last:Int64}
