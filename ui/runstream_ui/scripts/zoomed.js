function (event) {
  const part = event.batch ? event.batch[0] : event;
  if (part.startValue === undefined || part.endValue === undefined) return undefined;
  if (part.startValue === part.endValue) return undefined;
  return {from: part.startValue, to: part.endValue};
}
