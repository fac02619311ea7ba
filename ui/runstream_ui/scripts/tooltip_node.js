// A node of a graph: its kind and whole name. Both are escaped.
function (item) {
  if (item.dataType !== 'node') return '';
  const esc = echarts.format.encodeHTML, d = item.data;
  return '<div style="font-size:12px;max-width:420px;white-space:pre-wrap;overflow-wrap:anywhere">' +
    '<b>' + esc(String(d.hover)) + '</b><br><span style="opacity:.7">' + esc(String(d.kind)) + '</span></div>';
}
