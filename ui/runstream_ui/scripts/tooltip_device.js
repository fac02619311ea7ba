// One cell of the heat map of devices: [place on the axis, row, value]; the series is named as its device.
function (item) {
  const esc = echarts.format.encodeHTML, num = __NUMBER__, head = __HEAD__;
  return '<div style="font-size:12px"><div style="opacity:.7">' + esc(head(Number(item.name))) + '</div>' +
    esc(item.seriesName) + ': <b>' + esc(num(item.value[2])) + '</b></div>';
}
