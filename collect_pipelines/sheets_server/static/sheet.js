// One spreadsheet: shows the rows in view, follows changes, and sends what its owner does.
const ROW = 25, GUTTER = 58, CHUNK = 100, MORE = 6;
const id = document.body.dataset.spreadsheet;
const $ = (name) => document.getElementById(name);
const grid = $("grid"), head = $("head"), frozenBox = $("frozen"), body = $("body"), pane = $("pane"), entry = $("entry");
const TALLEST = 30e6; // browsers stop at about 33 million pixels; a longer sheet scrolls faster instead

let tabs = [], tab = null, lefts = [0], chunks = new Map(), asked = new Set();
let here = { row: 0, column: 0 }, editing = null, drawn = new Map(), framed = false, reading = 0, scale = 1;

const letters = (index) => {
  let text = "";
  for (index += 1; index; index = Math.floor((index - 1) / 26)) text = String.fromCharCode(65 + ((index - 1) % 26)) + text;
  return text;
};

async function fetchJson(path) {
  const answer = await fetch(path);
  if (!answer.ok) throw new Error(answer.status === 404 ? "It is not there any more." : `The server answered ${answer.status}.`);
  return answer.json();
}

function toast(text) {
  const box = $("toast");
  box.textContent = text;
  box.hidden = false;
  clearTimeout(toast.timer);
  toast.timer = setTimeout(() => { box.hidden = true; }, 5000);
}

// ---- state and rows ----

async function loadState() {
  const state = await fetchJson(`/_page/${id}/state`);
  document.title = state.title;
  $("title").textContent = state.title;
  tabs = state.tabs;
  const wanted = tab ? tab.id : Number(new URLSearchParams(location.hash.slice(1)).get("gid") ?? NaN);
  setTab(tabs.find((each) => each.id === wanted) ?? tabs[0], false);
}

function setTab(chosen, moved) {
  tab = chosen;
  lefts = [0];
  for (const width of tab.widths) lefts.push(lefts.at(-1) + width);
  if (moved) {
    chunks.clear();
    drawn.clear();
    here = { row: 0, column: 0 };
    grid.scrollTo(0, 0);
  }
  here = { row: Math.min(here.row, tab.rows - 1), column: Math.min(here.column, tab.widths.length - 1) };
  const width = GUTTER + lefts.at(-1);
  for (const box of [head, frozenBox, body]) box.style.width = `${width}px`;
  const tall = (tab.rows - tab.frozenRows) * ROW + 60;
  scale = Math.max(1, tall / TALLEST);
  body.style.height = `${tall / scale}px`;
  pane.style.top = `${(tab.frozenRows + 1) * ROW}px`;
  frozenBox.classList.toggle("on", tab.frozenRows > 0);
  $("download").href = `/spreadsheets/d/${id}/export?format=csv&gid=${tab.id}`;
  $("count").textContent = `${tab.rows.toLocaleString()} rows × ${tab.widths.length} columns`;
  drawTabs();
  draw();
}

function rowOf(index) {
  const chunk = chunks.get(Math.floor(index / CHUNK));
  return chunk ? chunk[index % CHUNK] ?? [] : null;
}

async function need(first, last) {
  for (let number = Math.floor(first / CHUNK); number <= Math.floor(Math.max(last - 1, first) / CHUNK); number++) {
    if (!chunks.has(number) && !asked.has(number)) await loadChunk(number);
  }
}

async function loadChunk(number) {
  const round = reading, sheet = tab.id;
  asked.add(number);
  try {
    const start = number * CHUNK;
    const window = await fetchJson(`/_page/${id}/rows?sheet=${sheet}&start=${start}&end=${start + CHUNK}`);
    if (round === reading && sheet === tab.id) {
      chunks.set(number, window.rows);
      if (chunks.size > 60) chunks.delete(chunks.keys().next().value);
      draw();
    }
  } catch (error) {
    toast(error.message);
  } finally {
    asked.delete(number);
  }
}

async function refresh() {
  await loadState();
  reading += 1;
  const [first, last] = rowsInView();
  const wanted = new Set([0, Math.floor(here.row / CHUNK)]);
  for (let row = first; row < last; row += 1) wanted.add(Math.floor(row / CHUNK));
  for (const number of chunks.keys()) if (!wanted.has(number)) chunks.delete(number);
  asked.clear();
  for (const number of wanted) await loadChunk(number);
}

// ---- drawing ----

function rowsInView() {
  const top = Math.max(0, Math.floor((grid.scrollTop * scale) / ROW) - MORE) + tab.frozenRows;
  return [top, Math.min(tab.rows, top + Math.ceil(grid.clientHeight / ROW) + 2 * MORE)];
}

function columnsInView() {
  const from = grid.scrollLeft, to = from + grid.clientWidth;
  let first = 0;
  while (first < tab.widths.length - 1 && lefts[first + 1] < from) first += 1;
  let last = first;
  while (last < tab.widths.length && lefts[last] < to) last += 1;
  return [first, last];
}

function draw() {
  if (framed || !tab) return;
  framed = true;
  requestAnimationFrame(() => { framed = false; drawNow(); });
}

function drawNow() {
  const [first, last] = rowsInView(), columns = columnsInView();
  drawHead(columns);
  const top = [];
  for (let row = 0; row < tab.frozenRows; row += 1) top.push(drawRow(row, columns));
  frozenBox.replaceChildren(...top);
  const rows = [];
  for (let row = first; row < last; row += 1) {
    const line = drawRow(row, columns);
    // Drawn from the top of the view, not of the sheet: far down, browsers place things to a few pixels only.
    line.style.top = `${(row - tab.frozenRows) * ROW - Math.round(grid.scrollTop * scale)}px`;
    rows.push(line);
  }
  pane.replaceChildren(...rows);
  if (editing) reopen();
  showHere();
  need(first, last);
  if (tab.frozenRows) need(0, tab.frozenRows);
}

function drawHead([first, last]) {
  const corner = element("div", "gutter");
  const cells = [corner, spacer(lefts[first])];
  for (let column = first; column < last; column += 1) {
    const cell = element("div", "letter" + (column === here.column ? " here" : ""), letters(column));
    cell.style.width = `${tab.widths[column]}px`;
    cell.setAttribute("role", "columnheader");
    cell.addEventListener("click", () => select(here.row, column));
    cells.push(cell);
  }
  head.replaceChildren(...cells);
}

function drawRow(row, [first, last]) {
  const line = element("div", "row"), cells = rowOf(row);
  line.setAttribute("role", "row");
  line.setAttribute("aria-rowindex", row + 1);
  const gutter = element("div", "gutter" + (row === here.row ? " here" : ""), String(row + 1));
  gutter.setAttribute("role", "rowheader");
  gutter.addEventListener("click", () => select(row, here.column));
  line.append(gutter, spacer(lefts[first]));
  for (let column = first; column < last; column += 1) line.append(drawCell(row, column, cells?.[column], cells !== null));
  return line;
}

function drawCell(row, column, data, known) {
  const cell = element("div", "cell", data?.t ?? "");
  cell.setAttribute("role", "gridcell");
  cell.style.width = `${tab.widths[column]}px`;
  if (data) {
    if (data.k) cell.classList.add(data.k);
    if (data.a) cell.classList.add(data.a);
    for (const [key, name] of [["b", "bold"], ["i", "italic"], ["x", "struck"], ["u", "under"]]) if (data[key]) cell.classList.add(name);
    if (data.bg) cell.style.backgroundColor = data.bg;
    if (data.fg) cell.style.color = data.fg;
    if (data.n) cell.classList.add("note");
    if (data.n || data.t.length > 24) cell.title = data.n ? `${data.t}\n\nNote: ${data.n}` : data.t;
  }
  if (row === here.row && column === here.column) {
    cell.classList.add("here");
    cell.id = "here";
    cell.setAttribute("aria-selected", "true");
  }
  const key = `${tab.id}:${row}:${column}`, text = data?.t ?? "";
  if (known && drawn.has(key) && drawn.get(key) !== text) cell.classList.add("fresh");
  if (known) drawn.set(key, text);
  if (drawn.size > 40000) drawn.clear();
  cell.addEventListener("mousedown", (event) => { if (!editing) { event.preventDefault(); select(row, column); } });
  cell.addEventListener("dblclick", () => edit());
  return cell;
}

function element(name, style, text) {
  const made = document.createElement(name);
  made.className = style;
  if (text !== undefined) made.textContent = text;
  return made;
}

function spacer(width) {
  const made = element("div", "");
  made.style.width = `${width}px`;
  made.style.flex = "none";
  return made;
}

function drawTabs() {
  $("tabs").replaceChildren(...tabs.map((each) => {
    const button = element("button", "", each.title);
    button.setAttribute("role", "tab");
    button.setAttribute("aria-selected", String(each.id === tab.id));
    button.title = "Double-click to rename";
    button.addEventListener("click", () => { if (each.id !== tab.id) { location.hash = `gid=${each.id}`; setTab(each, true); } });
    button.addEventListener("dblclick", async () => {
      const title = await ask(`New name of “${each.title}”`, each.title);
      if (title) act("rename_tab", { sheet_id: each.id, title });
    });
    return button;
  }));
}

// ---- selecting and editing ----

function select(row, column) {
  here = { row: Math.max(0, Math.min(row, tab.rows - 1)), column: Math.max(0, Math.min(column, tab.widths.length - 1)) };
  if (here.row >= tab.frozenRows) {
    const top = (here.row - tab.frozenRows) * ROW, space = grid.clientHeight - (tab.frozenRows + 1) * ROW - ROW;
    if (top < grid.scrollTop * scale) grid.scrollTop = top / scale;
    if (top > grid.scrollTop * scale + space) grid.scrollTop = (top - space) / scale;
  }
  const left = lefts[here.column], right = lefts[here.column + 1], room = grid.clientWidth - GUTTER;
  if (left < grid.scrollLeft) grid.scrollLeft = left;
  if (right > grid.scrollLeft + room) grid.scrollLeft = Math.min(left, right - room);
  grid.focus({ preventScroll: true });
  draw();
}

const entered = () => { const data = rowOf(here.row)?.[here.column]; return data ? data.f ?? data.t : ""; };

function showHere() {
  $("name").textContent = letters(here.column) + (here.row + 1);
  if (document.activeElement !== entry) entry.value = entered();
  grid.setAttribute("aria-activedescendant", "here");
}

function edit(text) {
  editing = { row: here.row, column: here.column, text: text ?? entered() };
  draw();
}

function reopen() {
  const cell = $("here");
  if (!cell || cell.querySelector(".editor")) return;
  const box = element("input", "editor");
  box.value = editing.text;
  box.setAttribute("aria-label", `Edit ${$("name").textContent}`);
  box.addEventListener("input", () => { editing.text = box.value; });
  box.addEventListener("keydown", (event) => {
    event.stopPropagation();
    if (event.key === "Enter") finish(1, 0);
    else if (event.key === "Tab") { event.preventDefault(); finish(0, event.shiftKey ? -1 : 1); }
    else if (event.key === "Escape") { editing = null; select(here.row, here.column); }
  });
  box.addEventListener("blur", () => setTimeout(() => { if (editing && !document.querySelector(".editor:focus")) finish(0, 0); }, 150));
  cell.append(box);
  box.focus();
}

function finish(down, right) {
  const { row, column, text } = editing;
  const before = entered();
  editing = null;
  select(row + down, column + right);
  if (text !== before) act("edit_cell", { row, column, value: text });
}

async function act(action, details) {
  const answer = await fetch(`/_user/${id}/${action}`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ sheet_id: tab.id, ...details }),
  });
  if (answer.ok) return;
  const problem = await answer.json().catch(() => ({}));
  toast((problem.error?.message ?? `The server answered ${answer.status}.`).replace(/^Invalid requests\[\d+\]\.\w+: /, ""));
}

function ask(label, text) {
  const dialog = $("ask");
  $("ask-label").textContent = label;
  $("ask-text").value = text;
  dialog.returnValue = "cancel";
  dialog.showModal();
  $("ask-text").select();
  return new Promise((done) => {
    dialog.addEventListener("close", () => done(dialog.returnValue === "ok" ? $("ask-text").value : null), { once: true });
  });
}

const ACTIONS = {
  "sort": () => act("sort", { column: here.column }),
  "sort-down": () => act("sort", { column: here.column, descending: true }),
  "row-above": () => act("insert_rows", { row: here.row }),
  "row-below": () => act("insert_rows", { row: here.row + 1 }),
  "row-delete": () => act("delete_rows", { row: here.row }),
  "column-right": () => act("insert_columns", { column: here.column + 1 }),
  "column-delete": () => act("delete_columns", { column: here.column }),
  "column-add": async () => {
    const title = await ask("Title of the new column", "");
    if (title !== null) act("add_column", { title });
  },
  "note": async () => {
    const { row, column } = here;
    const note = await ask(`Note on ${letters(column)}${row + 1}`, rowOf(row)?.[column]?.n ?? "");
    if (note !== null) act("set_note", { row, column, note });
  },
};

// ---- events ----

const page = () => Math.max(1, Math.floor(grid.clientHeight / ROW) - 3);
const KEYS = {
  ArrowUp: () => [-1, 0], ArrowDown: () => [1, 0], ArrowLeft: () => [0, -1], ArrowRight: () => [0, 1],
  PageUp: () => [-page(), 0], PageDown: () => [page(), 0], Home: () => [0, -1e9], End: () => [0, 1e9],
};

grid.addEventListener("keydown", (event) => {
  if (editing || event.target !== grid) return;
  const far = event.ctrlKey || event.metaKey, step = KEYS[event.key];
  if (step) {
    const [down, right] = step();
    const jump = far ? 1e9 : 1;
    select(here.row + down * (far && (event.key === "Home" || event.key === "End") ? 1 : jump) + (far && event.key === "Home" ? -1e9 : far && event.key === "End" ? 1e9 : 0), here.column + right * jump);
  } else if (event.key === "Enter" || event.key === "F2") edit();
  else if (event.key === "Delete" || event.key === "Backspace") act("edit_cell", { ...here, value: "" });
  else if (event.key.length === 1 && !far && !event.altKey) edit(event.key);
  else return;
  event.preventDefault();
});
entry.addEventListener("keydown", (event) => {
  if (event.key === "Escape") entry.value = entered();
  if (event.key === "Enter" && entry.value !== entered()) act("edit_cell", { ...here, value: entry.value });
  if (event.key === "Enter" || event.key === "Escape") grid.focus();
});
document.querySelectorAll("[data-action]").forEach((button) => button.addEventListener("click", () => ACTIONS[button.dataset.action]()));
$("add-tab").addEventListener("click", async () => { const title = await ask("Name of the new tab", ""); if (title) act("add_tab", { title }); });
grid.addEventListener("scroll", draw, { passive: true });
addEventListener("resize", draw);

function listen() {
  const events = new EventSource(`/_page/${id}/events`);
  let busy = false, again = false;
  const live = (text, style) => { $("live").textContent = text; $("live").className = `live ${style}`; };
  const follow = async () => {
    again = busy;
    if (busy) return;
    busy = true;
    try { await refresh(); } catch (error) { toast(error.message); }
    busy = false;
    if (again) follow();
  };
  events.addEventListener("open", () => { live("live", "on"); follow(); });
  events.addEventListener("message", follow);
  events.addEventListener("error", () => live("waiting for the server…", "off"));
}

loadState().then(() => { grid.focus(); listen(); }).catch((error) => toast(error.message));
