// Elements, addresses, paths and names, which shapes.js, geometry.js and editor.js share.
// Labels and texts come from files and models: they enter the page by textContent and setAttribute only.

const SVG = "http://www.w3.org/2000/svg";
const SVG_NAMES = new Set(["svg", "image", "g", "path"]);
// Light enough for 3:1 beside the dark line that every shape has around it.
const PALETTE = ["#ffd60a", "#4cc9f0", "#ff8fab", "#80ed99", "#ffb066", "#c8b6ff", "#f4f1de", "#64dfdf",
  "#ff9e9e", "#d9ed92", "#a9def9", "#e4c1f9"];

function make(name, attributes = {}, ...children) {
  const made = SVG_NAMES.has(name) ? document.createElementNS(SVG, name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

// Only pictures of this server, or pixels in the address itself.
function safeAddress(address) {
  if (!address) return "";
  if (/^data:image\/(png|jpeg|webp);base64,/.test(address)) return address;
  const url = new URL(address, document.baseURI);
  return url.origin === location.origin && /^https?:$/.test(url.protocol) ? url.href : "";
}

const ring = (points) => points.map(([x, y], i) => `${i ? "L" : "M"}${x} ${y}`).join("") + "Z";
const boxPath = ([x0, y0, x1, y1]) => `M${x0} ${y0}H${x1}V${y1}H${x0}Z`;
const dot = (x, y) => `M${x} ${y}h0`;
const clamp = (number, low, high) => Math.min(Math.max(number, low), high);
const area = ({box: [x0, y0, x1, y1]}) => (x1 - x0) * (y1 - y0);
const seen = (joint) => joint[2] >= 0.3;  // as tools/imaging/drawing.py

function nameOf(shape) {
  const score = shape.score === null ? "" : `, ${shape.score.toFixed(2)}`;
  const track = shape.track === undefined ? "" : ` #${shape.track}`;
  return `${shape.text === undefined ? shape.label : `“${shape.text}”`}${track}${score}`;
}
