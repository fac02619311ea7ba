// Lines of a console. The server sends a stretch; near its ends the next one is asked for, and the place is kept.
// `html` of a line comes out of ansi.py, which escapes what the program wrote; everything else goes through textContent.
const make = (tag, cls, text) => {
  const el = document.createElement(tag);
  if (cls) el.className = cls;
  if (text !== undefined) el.textContent = text;
  return el;
};
const two = (n, width = 2) => String(n).padStart(width, '0');

export default function (component) {
  const { data, parentElement, setTriggerValue } = component;
  const root = parentElement.querySelector('.rs-console');
  root.style.height = data.height || 'auto';
  root.style.maxHeight = data.max_height || 'none';
  root.setAttribute('aria-label', data.label);
  root.classList.toggle('dark', isDark(root));
  root.onscroll = null;
  const bottom = root.rsIds === undefined || root.scrollHeight - root.scrollTop - root.clientHeight < 30;
  const held = holding(root);

  const parts = [];
  if (data.older) parts.push(make('div', 'edge', 'older lines above …'));
  else if (data.begin) parts.push(make('div', 'edge', data.begin));
  let day = '';
  for (const line of data.lines) {
    const at = new Date(line.t);
    const date = at.toLocaleDateString();
    if (date !== day) {
      if (!data.hits) parts.push(make('div', 'day', date));
      day = date;
    }
    const el = make('div', 'line' + (line.err ? ' err' : '') + (line.id === data.at ? ' at' : ''));
    el.dataset.id = line.id;
    const when = make('button', 'when', two(at.getHours()) + ':' + two(at.getMinutes()) + ':' + two(at.getSeconds()) + '.' + two(at.getMilliseconds(), 3));
    when.type = 'button';
    const utc = at.toISOString().replace('T', ' ').replace('Z', ' UTC');
    when.title = utc + (line.err ? ' · stderr' : '') + ' · line ' + line.n + (data.hits ? ' · show it among its neighbours' : ' · show this moment on the charts');
    when.onclick = () => setTriggerValue('open', { id: line.id, at: Date.now() });
    el.append(when);
    if (data.ranks) el.append(make('span', 'rank', 'r' + line.rank));
    const text = make('span', 'text');
    text.innerHTML = line.html;
    el.append(text);
    parts.push(el);
  }
  if (data.newer) parts.push(make('div', 'edge', 'newer lines below …'));
  else if (data.end) parts.push(make('div', 'edge', data.end));
  root.replaceChildren(...parts);
  const ids = data.lines.map((line) => line.id);
  const jumped = root.rsAnchor !== data.anchor;
  root.rsAnchor = data.anchor;
  root.rsIds = ids;
  if (data.hits) return;

  const marked = root.querySelector('.line.at');
  if (jumped && data.at && marked) root.scrollTop = marked.offsetTop - root.offsetTop - root.clientHeight / 3;
  else if (jumped && data.from_top) root.scrollTop = 0;
  else if ((data.follow && bottom) || (jumped && !held)) root.scrollTop = root.scrollHeight;
  else if (held) {
    const same = [...root.querySelectorAll('.line')].find((el) => el.dataset.id === held.id);
    if (same) root.scrollTop += same.getBoundingClientRect().top - root.getBoundingClientRect().top - held.top;
    else if (jumped) root.scrollTop = root.scrollHeight;
  }

  let asked = false;
  const near = () => {
    if (asked || !ids.length) return;
    if (data.older && root.scrollTop < 60) { asked = true; setTriggerValue('more', { id: ids[0], at: Date.now() }); }
    else if (data.newer && root.scrollHeight - root.scrollTop - root.clientHeight < 60) {
      asked = true; setTriggerValue('more', { id: ids[ids.length - 1], at: Date.now() });
    }
  };
  requestAnimationFrame(() => requestAnimationFrame(() => { root.onscroll = near; }));
}

// The first line in sight and where it stands.
function holding(root) {
  const top = root.getBoundingClientRect().top;
  for (const el of root.querySelectorAll('.line')) {
    const place = el.getBoundingClientRect();
    if (place.bottom > top) return { id: el.dataset.id, top: place.top - top };
  }
  return null;
}

function isDark(root) {
  const probe = getComputedStyle(root).backgroundColor.match(/[\d.]+/g);
  return !!probe && 0.3 * probe[0] + 0.6 * probe[1] + 0.1 * probe[2] < 128;
}
