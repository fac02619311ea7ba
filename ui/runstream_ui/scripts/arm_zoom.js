function () {
  const model = chart.getModel();
  if (chart.rsArmed === model) return undefined;
  chart.rsArmed = model;
  chart.dispatchAction({type: 'takeGlobalCursor', key: 'dataZoomSelect', dataZoomSelectActive: true});
  return undefined;
}
