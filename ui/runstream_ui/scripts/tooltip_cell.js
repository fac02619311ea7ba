// One cell of a heat map of histograms: [place of the step, place of the bin, colour, count]; the series is named by the
// edges of the bin, low:high.
function (item) {
  const num = __NUMBER__;
  const [low, high] = item.seriesName.split(':').map(Number);
  return '<div style="font-size:12px"><div style="opacity:.7">step ' + num(Number(item.name)) + '</div>' +
    '<span style="font-variant-numeric:tabular-nums">' + num(low) + ' … ' + num(high) + '</span>: <b>' + num(item.value[3]) + '</b></div>';
}
