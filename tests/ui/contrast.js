// Texts on the page that are fainter than WCAG 2.2 AA asks: 4.5 to 1, or 3 to 1 for large ones.
() => {
  const context = Object.assign(document.createElement('canvas'), { width: 1, height: 1 }).getContext('2d', { willReadFrequently: true });
  const known = new Map();
  const rgba = (css) => {
    if (!known.has(css)) {
      context.clearRect(0, 0, 1, 1);
      context.fillStyle = css;
      context.fillRect(0, 0, 1, 1);
      const [r, g, b, a] = context.getImageData(0, 0, 1, 1).data;
      known.set(css, [r, g, b, a / 255]);
    }
    return known.get(css);
  };
  const above = (el) => el.assignedSlot || el.parentElement || (el.getRootNode() instanceof ShadowRoot ? el.getRootNode().host : null);
  const over = (front, back) => [0, 1, 2].map((i) => front[i] * front[3] + back[i] * (1 - front[3]));
  const light = (colour) => {
    const [r, g, b] = colour.map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const faint = new Set();
  const look = (root) => {
    for (const el of root.querySelectorAll('*')) {
      if (el.shadowRoot) look(el.shadowRoot);
      if (![...el.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.textContent.trim())) continue;
      if (['STYLE', 'SCRIPT', 'NOSCRIPT', 'TITLE'].includes(el.tagName)) continue;
      if (!el.checkVisibility({ opacityProperty: true, visibilityProperty: true })) continue;
      // Icons are drawn by letters of a font; what is switched off may be faint; the value of a slider stands above it.
      const style = getComputedStyle(el);
      if (style.fontFamily.includes('Material Symbols') || el.closest(':disabled, [aria-disabled="true"], [data-testid="stSlider"]')) continue;
      const box = el.getBoundingClientRect();
      if (!box.width || !box.height) continue;
      const chain = [];
      for (let at = el; at; at = above(at)) chain.push(at);
      const back = chain.reduceRight((under, at) => over(rgba(getComputedStyle(at).backgroundColor), under), [255, 255, 255]);
      const colour = rgba(style.color);
      const opacity = chain.reduce((product, at) => product * getComputedStyle(at).opacity, colour[3]);
      const front = over([...colour.slice(0, 3), opacity], back);
      const [high, low] = [light(front), light(back)].sort((a, b) => b - a);
      const ratio = (high + 0.05) / (low + 0.05);
      const size = parseFloat(style.fontSize);
      const needed = size >= 24 || (size >= 18.66 && style.fontWeight >= 700) ? 3 : 4.5;
      if (ratio < needed) faint.add(`${ratio.toFixed(2)} <${el.tagName.toLowerCase()} class="${el.className}"> ${el.textContent.trim().slice(0, 40)}`);
    }
  };
  look(document);
  return [...faint];
}
