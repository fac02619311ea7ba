function (text) {
  const v = Math.round(Number(text));
  return Math.abs(v) >= 1e6 ? +(v / 1e6).toPrecision(4) + 'M' : Math.abs(v) >= 1e4 ? +(v / 1e3).toPrecision(4) + 'k' : String(v);
}
