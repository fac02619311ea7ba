// One run: its name, and its value on each axis. Names are escaped.
function (item) {
  const esc = echarts.format.encodeHTML, num = __NUMBER__;
  const values = (Array.isArray(item.value) ? item.value : []).map((v) => (typeof v === 'number' ? num(v) : String(v)));
  return '<div style="font-size:12px;max-width:420px;white-space:normal"><b>' + esc(String(item.name)) + '</b><br>' +
    '<span style="font-variant-numeric:tabular-nums">' + esc(values.join(' · ')) + '</span></div>';
}
