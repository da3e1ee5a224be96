// Paints masks and wipes parts of them out, pixel by pixel. A tool of editor.js; `clamp` and `make` are in parts.js.

const CLOSE = 0.5;  // pixels by which a ring may leave the edge of the mask

// Rings through the middles of the edges of the pixels that are set, filled by the even-odd rule; `at` tells whether a
// pixel is. Through the corners, a ring that is simplified would be larger or smaller than the mask.
function ringsAround(at, [x0, y0, x1, y1]) {
  const follow = new Map();
  const edge = (ax, ay, bx, by) => {
    const key = `${ax},${ay}`;
    follow.set(key, [...(follow.get(key) || []), [bx, by]]);
  };
  for (let y = y0; y < y1; y += 1) {
    for (let x = x0; x < x1; x += 1) {
      if (!at(x, y)) continue;
      if (!at(x, y - 1)) edge(x, y, x + 1, y);
      if (!at(x + 1, y)) edge(x + 1, y, x + 1, y + 1);
      if (!at(x, y + 1)) edge(x + 1, y + 1, x, y + 1);
      if (!at(x - 1, y)) edge(x, y + 1, x, y);
    }
  }
  const rings = [];
  for (const [start, ends] of follow) {
    while (ends.length) {
      const points = [];
      let key = start;
      do {
        const [x, y] = key.split(",").map(Number), [nx, ny] = follow.get(key).pop();
        points.push([(x + nx) / 2, (y + ny) / 2]);
        key = `${nx},${ny}`;
      } while (key !== start);
      rings.push(points);
    }
  }
  return rings;
}

// A closed ring without the corners that lie within `CLOSE` pixels of the line of their neighbours (Douglas, Peucker).
function simplified(points) {
  const far = ([x, y], [ax, ay], [bx, by]) => {
    const length = Math.hypot(bx - ax, by - ay);
    return length ? Math.abs((bx - ax) * (ay - y) - (ax - x) * (by - ay)) / length : Math.hypot(x - ax, y - ay);
  };
  const part = (from, to) => {
    const kept = [];
    const open = [[from, to]];
    while (open.length) {
      const [a, b] = open.pop();
      let best = 0, most = CLOSE;
      for (let i = a + 1; i < b; i += 1) {
        const now = far(points[i], points[a], points[b % points.length]);
        if (now > most) { most = now; best = i; }
      }
      if (best) { kept.push(best); open.push([a, best], [best, b]); }
    }
    return kept;
  };
  const [x, y] = points[0];
  const distance = (i) => Math.hypot(points[i][0] - x, points[i][1] - y);
  const other = points.reduce((best, _, i) => (distance(i) > distance(best) ? i : best), 0);
  const kept = [0, other, ...part(0, other), ...part(other, points.length)].sort((a, b) => a - b);
  return kept.map((i) => points[i]);
}

function shapesBrush(view, {live, add, reshape}) {
  let target = null, stroke = [], wiping = false, size = 0;
  const scale = make("input", {type: "range", min: 1, max: 100, step: 1});
  // It keeps its room, so that the picture does not move when it comes.
  const bar = make("label", {class: "naming idle"}, "Brush size ", scale);
  scale.addEventListener("input", () => { size = Number(scale.value); });

  function painted() {
    const {width, height} = view.value, shape = live(target);
    const canvas = new OffscreenCanvas(width, height);
    const context = canvas.getContext("2d", {willReadFrequently: true});
    const ink = new Path2D(shape ? (shape.rings ? shape.rings.map(ring).join("") : boxPath(shape.box)) : "");
    context.fill(ink, "evenodd");
    context.globalCompositeOperation = wiping ? "destination-out" : "source-over";
    context.lineWidth = size;
    context.lineCap = context.lineJoin = "round";
    context.beginPath();
    stroke.forEach(([x, y], i) => (i ? context.lineTo(x, y) : context.moveTo(x, y)));
    if (stroke.length === 1) context.lineTo(stroke[0][0], stroke[0][1] + 0.01);
    context.stroke();
    const [sx0, sy0, sx1, sy1] = around(stroke);
    const reach = [sx0 - size, sy0 - size, sx1 + size, sy1 + size];
    const [x0, y0, x1, y1] = around(shape ? [reach.slice(0, 2), reach.slice(2), shape.box.slice(0, 2), shape.box.slice(2)]
      : [reach.slice(0, 2), reach.slice(2)]);
    const place = [clamp(Math.floor(x0), 0, width), clamp(Math.floor(y0), 0, height), clamp(Math.ceil(x1), 0, width),
      clamp(Math.ceil(y1), 0, height)];
    const w = place[2] - place[0], h = place[3] - place[1];
    if (w < 1 || h < 1) return [];
    const {data} = context.getImageData(place[0], place[1], w, h);
    const at = (x, y) => x >= place[0] && y >= place[1] && x < place[2] && y < place[3]
      && data[4 * ((y - place[1]) * w + x - place[0]) + 3] > 127;
    return ringsAround(at, place).map(simplified).filter((points) => points.length > 2);
  }

  return {
    hint: "Paint over the thing, and with Shift wipe out; or move the cross with the arrow keys, Enter paints, Shift and " +
      "Enter wipes out, Esc leaves.",
    begin(shape) {
      target = shape && !shape.joints ? shape.id : null;
      stroke = [];
      const longest = Math.max(view.value.width, view.value.height);
      scale.max = Math.max(2, Math.round(longest / 5));
      if (!size || size > scale.max) size = Math.max(1, Math.round(longest / 40));
      scale.value = size;
    },
    bar,
    shown(on) { bar.classList.toggle("idle", !on); },
    target: () => target,
    press(point, event) { stroke = [point]; wiping = event.shiftKey; },
    drag(point) { if (stroke.length) stroke = [...stroke, point]; },
    release() {
      if (!stroke.length) return;
      const shape = live(target);
      const rings = wiping && !shape ? [] : painted();
      stroke = [];
      if (!rings.length) {
        view.say(shape ? "Nothing would be left; delete the shape instead." : "There is nothing to wipe out.");
        return;
      }
      const changes = {type: shape && shape.rings ? shape.type : "polygon", rings, box: around(rings.flat())};
      if (shape) reshape(shape, changes); else target = add(changes);
    },
    cancel() { stroke = []; },
    nodes() {
      if (!stroke.length) return [];
      const d = stroke.map(([x, y], i) => `${i ? "L" : "M"}${x} ${y}`).join("") + (stroke.length > 1 ? "" : "h0");
      const made = make("path", {class: `draft stroke${wiping ? " out" : ""}`, d});
      made.style.strokeWidth = `${size * view.scale()}px`;
      return [made];
    },
  };
}
