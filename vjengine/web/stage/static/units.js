// Rows of the parameter table: a fader's place (0-1), the value it stands for, and how a performer reads it.

export const limit = (x, low = 0, high = 1) => Math.min(high, Math.max(low, x));
export const discrete = (row) => ["integer", "choice", "switch"].includes(row.curve);

export function fromUnit(row, place) {
  const x = limit(place);
  if (row.curve === "exponential") return row.low * (row.high / row.low) ** x;
  const value = row.low + x * (row.high - row.low);
  return discrete(row) ? Math.round(value) : value;
}

export function toUnit(row, value) {
  const x = limit(value, row.low, row.high);
  if (row.curve === "exponential") return Math.log(x / row.low) / Math.log(row.high / row.low);
  return (x - row.low) / (row.high - row.low);
}

// Three significant digits, but no more than the range deserves: a value at rest must not flicker.
export function words(row, value) {
  if (row.choices && row.choices.length) return row.choices[Math.round(limit(value, row.low, row.high))];
  if (row.curve === "switch") return value >= 0.5 ? "on" : "off";
  if (row.curve === "integer") return `${Math.round(value)} ${row.unit}`.trim();
  const size = Math.max(Math.abs(row.low), Math.abs(row.high));
  const most = size < 0.2 ? 4 : size < 20 ? 2 : size < 200 ? 1 : 0;
  const text = value.toFixed(most).replace("-", "−");
  return `${/^−0\.?0*$/.test(text) ? text.slice(1) : text} ${row.unit}`.trim();
}

// How far one arrow key moves, as a share of the fader.
export const stride = (row) => (discrete(row) ? 1 / Math.max(1, row.high - row.low) : 0.01);

export function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (name === "text") made.textContent = value;
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children);
  return made;
}

// Writing what is there already costs a layout; these do not.
export const write = (node, text) => { if (node.textContent !== text) node.textContent = text; };
export const mark = (node, name, value) => {
  const text = String(value);
  if (node.getAttribute(name) !== text) node.setAttribute(name, text);
};
