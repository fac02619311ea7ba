function (x) {
  const at = new Date(x);
  return at.toLocaleString() + ' · ' + at.toISOString().slice(0, 19).replace('T', ' ') + ' UTC';
}
