function (s) {
  const sign = s < 0 ? '-' : ''; s = Math.abs(s);
  if (s < 1e-9) return '0';
  if (s < 10) return sign + +s.toPrecision(3) + 's';
  if (s >= 59.5) s = Math.round(s);
  if (s < 60) return sign + Math.round(s) + 's';
  if (s < 3600) return sign + Math.floor(s / 60) + 'm' + (s % 60 ? ' ' + Math.round(s % 60) + 's' : '');
  if (s < 172800) return sign + Math.floor(s / 3600) + 'h' + (s % 3600 ? ' ' + Math.round(s % 3600 / 60) + 'm' : '');
  return sign + +(s / 86400).toPrecision(3) + 'd';
}
