function (text) { return (__DURATION__)(Math.round(Number(text))); }
