// A click that neither drags nor is the first half of a double click names a moment: the x under the pointer.
function (event) {
  const at = [event.offsetX, event.offsetY];
  if (!chart.containPixel('grid', at)) return undefined;
  return {at: chart.convertFromPixel({xAxisIndex: 0}, at[0])};
}
