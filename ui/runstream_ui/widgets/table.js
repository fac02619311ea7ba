// A table whose rows the server sorts and pages. Text reaches the page through textContent and attributes only.
export default function (component) {
  const { data, parentElement, setTriggerValue } = component;
  const root = parentElement.querySelector('.rs-scroll');
  const table = root.querySelector('table');
  const left = root.scrollLeft, top = root.scrollTop;
  root.style.maxHeight = data.max_height || 'none';
  table.setAttribute('aria-label', data.label || '');

  const make = (tag, cls, text) => {
    const el = document.createElement(tag);
    if (cls) el.className = cls;
    if (text !== undefined && text !== null) el.textContent = text;
    return el;
  };

  // A click that the server has not answered yet counts for more than an answer to the one before it.
  const ahead = root.rsSent && root.rsSent.at > (data.selected_at || 0);
  const selected = new Set(ahead ? root.rsSent.ids : data.selected || []);
  const send = () => {
    root.rsSent = { ids: [...selected], at: Date.now() };
    setTriggerValue('select', root.rsSent);
  };

  // Header
  const head = table.tHead || table.createTHead();
  head.replaceChildren();
  const row = head.insertRow();
  let all = null;
  if (data.selectable) {
    const th = make('th', 'pick');
    all = make('input');
    all.type = 'checkbox';
    all.setAttribute('aria-label', 'Select all rows of this page');
    all.onchange = () => {
      for (const r of data.rows) all.checked ? selected.add(r.id) : selected.delete(r.id);
      paint(); send();
    };
    th.append(all);
    row.append(th);
  }
  for (const col of data.columns) {
    const th = make('th', col.kind + (col.pin ? ' pin' : ''));
    th.scope = 'col';
    if (col.hint) th.title = col.hint;
    if (col.swatch) {
      const swatch = make('span', 'swatch');
      swatch.style.background = col.swatch;
      th.append(swatch);
    }
    if (data.columns.some((c) => c.origin)) th.append(make('small', '', col.origin || '\u00a0'));
    if (col.sortable) {
      const arrow = col.sorted === 'desc' ? ' ↓' : col.sorted === 'asc' ? ' ↑' : '';
      const button = make('button', col.sorted ? 'sorted' : '', col.label + arrow);
      button.type = 'button';
      if (col.name) button.setAttribute('aria-label', col.name);
      th.setAttribute('aria-sort', col.sorted === 'desc' ? 'descending' : col.sorted === 'asc' ? 'ascending' : 'none');
      button.onclick = () => setTriggerValue('sort', { column: col.id, at: Date.now() });
      th.append(button);
    } else th.append(make('span', '', col.label));
    row.append(th);
  }

  // Body
  const body = table.tBodies[0] || table.createTBody();
  body.replaceChildren();
  const boxes = new Map();
  let anchor = null;
  data.rows.forEach((r, index) => {
    const tr = body.insertRow();
    if (r.mark) tr.classList.add(r.mark);
    if (data.selectable) {
      const td = make('td', 'pick');
      const box = make('input');
      box.type = 'checkbox';
      box.setAttribute('aria-label', 'Select ' + (r.label || r.id));
      box.onclick = (event) => {
        const reach = event.shiftKey && anchor !== null ? [Math.min(anchor, index), Math.max(anchor, index)] : [index, index];
        for (let i = reach[0]; i <= reach[1]; i++) box.checked ? selected.add(data.rows[i].id) : selected.delete(data.rows[i].id);
        anchor = index;
        paint(); send();
      };
      boxes.set(r.id, [box, tr]);
      td.append(box);
      tr.append(td);
    }
    r.cells.forEach((cell, i) => {
      const col = data.columns[i];
      const td = make('td', col.kind + (col.pin ? ' pin' : '') + (cell.mark ? ' ' + cell.mark : ''));
      if (cell.hover) td.title = cell.hover;
      if (cell.dot) {
        const dot = make('span', 'dot' + (cell.pulse ? ' pulse' : ''));
        dot.style.background = cell.dot;
        td.append(dot);
      }
      if (cell.swatch) {
        const swatch = make('span', 'swatch');
        swatch.style.background = cell.swatch;
        td.append(swatch);
      }
      if (cell.image) {
        const large = make('a');
        large.href = cell.image;
        large.target = '_blank';
        large.rel = 'noopener';
        const img = make('img', 'thumb');
        img.loading = 'lazy';
        img.alt = cell.text || cell.hover || 'picture';
        img.src = cell.image;
        large.append(img);
        td.append(large);
      }
      if (cell.play) {
        const player = make('audio');
        player.controls = true;
        player.preload = 'none';
        player.src = cell.play;
        td.append(player);
      }
      if (cell.chips) for (const chip of cell.chips) {
        const el = make('span', 'chip', chip.text);
        el.title = chip.hover || chip.text;
        td.append(el);
      } else if (cell.href) {
        const a = make('a', '', cell.text);
        a.href = cell.href;
        if (cell.download) a.setAttribute('download', '');
        else a.onclick = (event) => {
          if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
          event.preventDefault();
          setTriggerValue('open', { id: r.id, column: col.id, at: Date.now() });
        };
        td.append(a);
      } else if (cell.press) {
        const button = make('button', 'press' + (cell.pressed ? ' pressed' : ''), cell.text);
        button.type = 'button';
        button.setAttribute('aria-label', cell.press);
        button.setAttribute('aria-pressed', cell.pressed ? 'true' : 'false');
        button.onclick = () => {
          button.disabled = true;  // until the server has drawn the row again
          setTriggerValue('press', { id: r.id, column: col.id, at: Date.now() });
        };
        td.append(button);
      } else td.append(document.createTextNode(cell.text ?? ''));
      if (cell.flag) {
        const flag = make('span', 'flag', '▲');
        flag.title = cell.flag;
        flag.setAttribute('role', 'img');
        flag.setAttribute('aria-label', cell.flag);
        td.append(flag);
      }
      tr.append(td);
    });
  });

  function paint() {
    let here = 0;
    for (const [id, [box, tr]] of boxes) {
      box.checked = selected.has(id);
      tr.classList.toggle('selected', box.checked);
      if (box.checked) here++;
    }
    if (all) {
      all.checked = here > 0 && here === boxes.size;
      all.indeterminate = here > 0 && here < boxes.size;
    }
  }
  paint();
  root.scrollLeft = left;
  root.scrollTop = top;
}
