// Media of some names at one step: pictures with boxes and masks, sound, video, HTML, objects in space, texts and files.
// Text reaches the page through textContent and attributes only.
const make = (tag, cls, text) => {
  const el = document.createElement(tag);
  if (cls) el.className = cls;
  if (text !== undefined && text !== null) el.textContent = text;
  return el;
};

export default function (component) {
  const { data, parentElement } = component;
  const root = parentElement.querySelector('.rs-media');
  const hidden = (root.rsHidden ??= new Set());
  root.rsItems = [];
  root.rsRedraw = [];
  const panels = data.panels.map((panel) => drawPanel(panel, root, hidden));
  // What is on the page stays until the new pictures have come: no flicker while a slider moves.
  const images = panels.flatMap((el) => [...el.querySelectorAll('.picture img')]).filter((img) => !img.complete);
  const turn = (root.rsTurn = (root.rsTurn || 0) + 1);
  const show = () => { if (root.rsTurn === turn) root.replaceChildren(...panels, lightbox(root)); };
  if (!images.length || !root.firstChild) show();
  else {
    const loaded = Promise.all(images.map((img) => img.decode().catch(() => undefined)));
    Promise.race([loaded, new Promise((done) => setTimeout(done, 400))]).then(show);
  }
}

function drawPanel(panel, root, hidden) {
  const el = make('section', 'panel');
  const head = make('header');
  const title = make('h4', '', panel.title);
  title.title = panel.hover || panel.title;
  head.append(title, make('span', 'quiet', panel.note || ''));
  el.append(head);
  if (panel.classes && panel.classes.length) el.append(legend(panel.classes, root, hidden));
  const colours = Object.fromEntries((panel.classes || []).map((c) => [c.key, c.colour]));
  // One thing of each run: they stand beside each other, to be compared at a glance.
  const beside = panel.rows.length > 1 && panel.rows.every((row) => row.label && row.items.length <= 1);
  const rows = make('div', beside ? 'rows beside' : 'rows');
  el.append(rows);
  for (const row of panel.rows) {
    const line = make('div', row.label ? 'row named' : 'row');
    if (row.label) {
      const who = make('div', 'who');
      const swatch = make('i');
      swatch.style.background = row.colour;
      who.append(swatch, document.createTextNode(row.label));
      who.title = row.hover || row.label;
      who.append(make('div', 'quiet', row.note || ''));
      line.append(who);
    }
    const wide = row.items.some((item) => ['html', 'text'].includes(item.kind));
    const items = make('div', 'items' + (wide ? ' wide' : row.items.length === 1 && !row.label ? ' single' : ''));
    for (const item of row.items) items.append(drawItem(item, root, hidden, colours));
    if (wide || row.label || row.items.length > 1) el.classList.add('full');
    if (!row.items.length) items.append(make('div', 'quiet', 'nothing logged up to here'));
    if (wide) rows.classList.add('wide');
    line.append(items);
    rows.append(line);
  }
  return el;
}

function legend(classes, root, hidden) {
  const el = make('div', 'legend');
  const known = (root.rsKnown ??= new Set());
  for (const c of classes) {
    if (c.off && !known.has(c.key)) hidden.add(c.key);
    known.add(c.key);
  }
  for (const c of classes) {
    const button = make('button');
    button.type = 'button';
    const swatch = make('i');
    swatch.style.background = c.colour;
    button.append(swatch, document.createTextNode(c.label));
    button.title = 'Show or hide ' + c.label;
    button.setAttribute('aria-pressed', String(!hidden.has(c.key)));
    button.onclick = () => {
      hidden.has(c.key) ? hidden.delete(c.key) : hidden.add(c.key);
      button.setAttribute('aria-pressed', String(!hidden.has(c.key)));
      for (const redraw of root.rsRedraw) redraw();
    };
    el.append(button);
  }
  return el;
}

function drawItem(item, root, hidden, colours) {
  const figure = make('figure');
  const stage = make('div', 'stage');
  const place = root.rsItems.push({ item, hidden, colours }) - 1;
  stage.append(view(item, hidden, colours, root.rsRedraw));
  if (item.kind === 'image') {
    stage.classList.add('zoom');
    stage.tabIndex = 0;
    stage.setAttribute('role', 'button');
    stage.setAttribute('aria-label', 'Look at ' + item.alt + ' in large');
    stage.onclick = () => root.rsOpen(place);
    stage.onkeydown = (event) => { if (event.key === 'Enter' || event.key === ' ') { event.preventDefault(); root.rsOpen(place); } };
  }
  figure.append(stage);
  if (item.kind !== 'file') {
    const caption = make('figcaption');
    const text = make('span', '', item.caption || '');
    caption.append(text);
    const links = make('span');
    if (['html', 'shape'].includes(item.kind) && !item.missing) {
      const large = make('a', '', 'large');
      large.href = '#';
      large.onclick = (event) => { event.preventDefault(); root.rsOpen(place); };
      links.append(large, document.createTextNode(' · '));
    }
    if (!item.missing) links.append(download(item));
    caption.append(links);
    figure.append(caption);
  }
  return figure;
}

function download(item) {
  const a = make('a', '', 'download');
  a.href = item.download;
  a.title = item.facts;
  a.setAttribute('download', item.name);
  return a;
}

function view(item, hidden, colours, redraws) {
  if (item.kind === 'image') return picture(item, hidden, colours, redraws);
  if (item.kind === 'audio' || item.kind === 'video') {
    const el = make(item.kind);
    el.controls = true;
    el.preload = 'metadata';
    el.src = item.src;
    el.setAttribute('aria-label', item.alt);
    el.onerror = () => el.replaceWith(gone(item.missing || 'This browser cannot play it. Download it instead.', item));
    return el;
  }
  if (item.kind === 'html') return item.missing ? gone(item.missing, item) : page(item);
  if (item.kind === 'shape') return shape(item);
  if (item.kind === 'text') return make('pre', '', item.text);
  return card(item);
}

function card(item) {
  const el = make('div', 'filecard');
  const a = make('a', '', item.label || item.name);
  a.href = item.download;
  a.setAttribute('download', item.name);
  el.append(a, make('div', 'quiet', item.facts));
  if (item.missing || item.why) el.append(make('div', 'quiet', item.missing || item.why));
  if (item.caption) el.append(make('div', '', item.caption));
  return el;
}

function gone(text, item) {
  const el = make('div', 'gone quiet', text + ' ');
  if (!item.missing) el.append(download(item));
  return el;
}

function picture(item, hidden, colours, redraws) {
  const el = make('span', 'picture');
  const img = make('img');
  img.alt = item.alt;
  img.src = item.src;
  const fit = () => { if (img.naturalWidth && img.naturalWidth < 160) el.classList.add('small'); };
  img.onload = fit;
  img.onerror = () => el.replaceChildren(gone(item.missing || 'It is no picture that browsers show, or its bytes have gone from the object store.', item));
  el.append(img);
  fit();
  if ((item.boxes || []).length) {
    const redraw = () => boxes(el, item, hidden, colours);
    redraw();
    redraws.push(redraw);
  }
  for (const mask of item.masks || []) overlay(el, mask, hidden, colours, redraws);
  return el;
}

// Boxes are in fractions of the picture.
function boxes(el, item, hidden, colours) {
  for (const old of el.querySelectorAll('svg, .tag')) old.remove();
  const ns = 'http://www.w3.org/2000/svg';
  const svg = document.createElementNS(ns, 'svg');
  svg.setAttribute('viewBox', '0 0 1 1');
  svg.setAttribute('preserveAspectRatio', 'none');
  el.append(svg);
  for (const box of item.boxes) {
    if (hidden.has(box.key)) continue;
    const colour = colours[box.key] || '#2b86d9';
    const rect = document.createElementNS(ns, 'rect');
    for (const name of ['x', 'y', 'width', 'height']) rect.setAttribute(name, box[name]);
    rect.setAttribute('fill', 'none');
    rect.setAttribute('stroke', colour);
    rect.setAttribute('stroke-width', '2');
    rect.setAttribute('vector-effect', 'non-scaling-stroke');
    if (box.dashed) rect.setAttribute('stroke-dasharray', '6 4');
    svg.append(rect);
    const tag = make('span', 'tag' + (box.y < 0.08 ? ' inside' : ''), box.label);
    tag.style.left = 100 * Math.max(0, box.x) + '%';
    tag.style.top = 100 * Math.max(0, box.y) + '%';
    // Dark enough for its white letters.
    tag.style.background = `color-mix(in srgb, ${colour} 72%, black)`;
    el.append(tag);
  }
}

// A mask is a picture whose pixels are class numbers; each class gets its colour, half transparent.
function overlay(el, mask, hidden, colours, redraws) {
  const canvas = make('canvas');
  el.append(canvas);
  const source = make('img');
  source.onload = () => {
    const width = (canvas.width = source.naturalWidth), height = (canvas.height = source.naturalHeight);
    const context = canvas.getContext('2d', { willReadFrequently: true });
    context.drawImage(source, 0, 0);
    const classes = context.getImageData(0, 0, width, height);
    const redraw = () => {
      const painted = context.createImageData(width, height);
      const palette = new Map();
      for (const [number, key] of Object.entries(mask.classes)) {
        if (hidden.has(key)) continue;
        const hex = colours[key] || '#2b86d9';
        palette.set(+number, [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16)));
      }
      for (let i = 0; i < classes.data.length; i += 4) {
        const rgb = palette.get(classes.data[i]);
        if (rgb) painted.data.set([rgb[0], rgb[1], rgb[2], 128], i);
      }
      context.putImageData(painted, 0, 0);
    };
    redraw();
    redraws.push(redraw);
  };
  source.src = mask.src;
}

// HTML runs in a sandbox inside a sandbox: the outer one has a policy by which the inner one cannot leave its address.
function page(item) {
  const address = new URL(item.src, document.baseURI).href;
  const outer = make('iframe');
  outer.setAttribute('sandbox', 'allow-scripts');
  outer.setAttribute('loading', 'lazy');
  outer.setAttribute('referrerpolicy', 'no-referrer');
  outer.title = item.alt;
  const quoted = address.replace(/&/g, '&amp;').replace(/"/g, '&quot;').replace(/</g, '&lt;');
  const policy = "default-src 'none'; style-src 'unsafe-inline'; frame-src " + address.replace(/[;,\s]/g, encodeURIComponent);
  outer.srcdoc =
    '<!doctype html><meta http-equiv="Content-Security-Policy" content="' + policy.replace(/"/g, '&quot;').replace(/&(?!quot;)/g, '&amp;') + '">' +
    '<style>html,body,iframe{margin:0;border:0;width:100%;height:100%;display:block;overflow:hidden}</style>' +
    '<iframe sandbox="allow-scripts" referrerpolicy="no-referrer" src="' + quoted + '"></iframe>';
  return outer;
}

// Points or triangles in space, turned by dragging, nearer with the wheel or the keys.
function shape(item) {
  const canvas = make('canvas', 'shape');
  canvas.setAttribute('role', 'img');
  canvas.setAttribute('aria-label', item.alt + ', an object in space: drag or use the arrow keys to turn it');
  canvas.tabIndex = 0;
  const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer;
  const xyz = new Float32Array(bytes(item.shape.xyz));
  const rgb = item.shape.rgb ? new Uint8Array(bytes(item.shape.rgb)) : null;
  const faces = item.shape.faces ? new Uint16Array(bytes(item.shape.faces)) : null;
  const n = xyz.length / 3;
  const seen = new Float32Array(3 * n);
  let yaw = 0.6, pitch = 0.4, near = 1;
  const draw = () => {
    const ratio = window.devicePixelRatio || 1;
    const width = (canvas.width = Math.max(1, canvas.clientWidth * ratio));
    const height = (canvas.height = Math.max(1, canvas.clientHeight * ratio));
    const context = canvas.getContext('2d');
    const size = 0.47 * Math.min(width, height) * near;
    const [sy, cy, sp, cp] = [Math.sin(yaw), Math.cos(yaw), Math.sin(pitch), Math.cos(pitch)];
    // Right and up on the canvas, and towards who looks.
    for (let i = 0; i < 3 * n; i += 3) {
      const u = cy * xyz[i] - sy * xyz[i + 1], v = sy * xyz[i] + cy * xyz[i + 1];
      seen[i] = width / 2 + size * u;
      seen[i + 1] = height / 2 - size * (cp * xyz[i + 2] + sp * v);
      seen[i + 2] = sp * xyz[i + 2] - cp * v;
    }
    if (faces) triangles(context, seen, faces, rgb, size);
    else dots(context, seen, xyz, rgb, Math.max(1, 1.6 * ratio * Math.min(2, near)));
  };
  let from = null;
  canvas.onpointerdown = (event) => { from = [event.clientX, event.clientY]; canvas.setPointerCapture(event.pointerId); };
  canvas.onpointerup = () => { from = null; };
  canvas.onpointermove = (event) => {
    if (!from) return;
    yaw += (event.clientX - from[0]) * 0.01;
    pitch = Math.max(-1.57, Math.min(1.57, pitch + (event.clientY - from[1]) * 0.01));
    from = [event.clientX, event.clientY];
    draw();
  };
  canvas.addEventListener('wheel', (event) => {
    event.preventDefault();
    near = Math.max(0.2, Math.min(12, near * Math.exp(-event.deltaY * 0.001)));
    draw();
  }, { passive: false });
  canvas.addEventListener('keydown', (event) => {
    const by = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    const closer = { '+': 1.2, '=': 1.2, '-': 1 / 1.2 }[event.key];
    if (!by && !closer) return;
    event.preventDefault();
    event.stopPropagation();
    if (by) { yaw += 0.12 * by[0]; pitch = Math.max(-1.57, Math.min(1.57, pitch + 0.12 * by[1])); }
    else near = Math.max(0.2, Math.min(12, near * closer));
    draw();
  });
  new ResizeObserver(draw).observe(canvas);
  return canvas;
}

function dots(context, seen, xyz, rgb, size) {
  for (let i = 0; i < seen.length; i += 3) {
    if (rgb) context.fillStyle = `rgb(${rgb[i]},${rgb[i + 1]},${rgb[i + 2]})`;
    else {
      const t = Math.min(1, Math.max(0, (xyz[i + 2] + 1) / 2));
      context.fillStyle = `hsl(${250 - 200 * t} 70% ${55 + 12 * seen[i + 2]}%)`;
    }
    context.fillRect(seen[i], seen[i + 1], size, size);
  }
}

// From the farthest to the nearest; how much a triangle faces who looks is how bright it is.
function triangles(context, seen, faces, rgb, size) {
  const m = faces.length / 3;
  const depth = new Float32Array(m);
  for (let f = 0; f < m; f++) depth[f] = seen[3 * faces[3 * f] + 2] + seen[3 * faces[3 * f + 1] + 2] + seen[3 * faces[3 * f + 2] + 2];
  const order = Uint32Array.from({ length: m }, (_, f) => f).sort((a, b) => depth[a] - depth[b]);
  context.lineWidth = 1;
  context.lineJoin = 'round';
  for (const f of order) {
    const [a, b, c] = [3 * faces[3 * f], 3 * faces[3 * f + 1], 3 * faces[3 * f + 2]];
    const [x1, y1, z1] = [seen[b] - seen[a], seen[b + 1] - seen[a + 1], (seen[b + 2] - seen[a + 2]) * size];
    const [x2, y2, z2] = [seen[c] - seen[a], seen[c + 1] - seen[a + 1], (seen[c + 2] - seen[a + 2]) * size];
    const [nx, ny, nz] = [y1 * z2 - z1 * y2, z1 * x2 - x1 * z2, x1 * y2 - y1 * x2];
    const long = Math.hypot(nx, ny, nz);
    if (!long) continue;
    // The light comes from the upper left, in front; surfaces have two sides.
    const front = Math.sign(nz) || 1;
    const lit = 0.4 + 0.6 * Math.max(0, front * (-0.35 * nx - 0.45 * ny + 0.82 * nz) / long);
    const own = rgb ? [a, b, c].map((at) => [rgb[at], rgb[at + 1], rgb[at + 2]]) : null;
    const colour = own ? [0, 1, 2].map((at) => (own[0][at] + own[1][at] + own[2][at]) / 3) : [122, 160, 210];
    context.fillStyle = context.strokeStyle = `rgb(${colour.map((level) => Math.round(level * lit)).join(',')})`;
    context.beginPath();
    context.moveTo(seen[a], seen[a + 1]);
    context.lineTo(seen[b], seen[b + 1]);
    context.lineTo(seen[c], seen[c + 1]);
    context.closePath();
    context.fill();
    context.stroke();
  }
}

// One thing in large; arrow keys lead to the next picture.
function lightbox(root) {
  const dialog = make('dialog');
  const bar = make('div', 'bar'), body = make('div', 'body'), text = make('span');
  const [back, on, close] = ['‹', '›', 'Close'].map((label) => { const b = make('button', '', label); b.type = 'button'; return b; });
  back.setAttribute('aria-label', 'Previous');
  on.setAttribute('aria-label', 'Next');
  let at = 0;
  const show = (place) => {
    at = (place + root.rsItems.length) % root.rsItems.length;
    const { item, hidden, colours } = root.rsItems[at];
    text.textContent = [item.alt, item.caption].filter(Boolean).join(' · ');
    text.title = item.facts;
    bar.replaceChildren(text, back, on, download(item), close);
    body.replaceChildren(view(item, hidden, colours, []));
  };
  const step = (by) => {
    let place = at;
    for (let i = 0; i < root.rsItems.length; i++) {
      place = (place + by + root.rsItems.length) % root.rsItems.length;
      if (root.rsItems[place].item.kind !== 'file') break;
    }
    show(place);
  };
  back.onclick = () => step(-1);
  on.onclick = () => step(1);
  close.onclick = () => dialog.close();
  dialog.onclick = (event) => { if (event.target === dialog) dialog.close(); };
  dialog.onclose = () => body.replaceChildren();
  dialog.onkeydown = (event) => {
    if (event.key === 'ArrowLeft') step(-1);
    if (event.key === 'ArrowRight') step(1);
    event.stopPropagation();
  };
  dialog.append(bar, body);
  root.rsOpen = (place) => { show(place); dialog.showModal(); };
  return dialog;
}
