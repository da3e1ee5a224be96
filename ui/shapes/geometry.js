// Where the parts of shapes are, and shapes with a part elsewhere; `clamp` and `seen` are in parts.js.

const SIDES = [[-1, -1, "top left corner"], [0, -1, "top edge"], [1, -1, "top right corner"], [1, 0, "right edge"],
  [1, 1, "bottom right corner"], [0, 1, "bottom edge"], [-1, 1, "bottom left corner"], [-1, 0, "left edge"]];
// A person who stands, as parts of the box: where the joints of a new one are.
const STANDING = [[.5, .08], [.53, .06], [.47, .06], [.57, .08], [.43, .08], [.65, .2], [.35, .2], [.72, .36], [.28, .36],
  [.74, .5], [.26, .5], [.6, .52], [.4, .52], [.6, .74], [.4, .74], [.6, .96], [.4, .96]];
const LEAST = 2;  // pixels of a box's side
const ARROWS = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]};

const round = (number) => Math.round(number * 10) / 10;
const around = (points) => [0, 1, 2, 3].map((i) => Math[i < 2 ? "min" : "max"](...points.map((point) => point[i % 2])));

function shifted(shape, dx, dy, {width, height}) {
  const [x0, y0, x1, y1] = shape.box;
  const mx = clamp(dx, -x0, Math.max(-x0, width - x1)), my = clamp(dy, -y0, Math.max(-y0, height - y1));
  const put = ([x, y, ...rest]) => [round(x + mx), round(y + my), ...rest];
  return {
    box: [...put([x0, y0]), ...put([x1, y1])],
    ...(shape.rings && {rings: shape.rings.map((points) => points.map(put))}),
    ...(shape.joints && {joints: shape.joints.map(put)}),
  };
}

// Handles of a shape: a place, a name, and what the shape is with the handle elsewhere.
function handlesOf(shape, names, {width, height}) {
  if (shape.rings) {
    const moved = (r, i, points) => {
      const rings = shape.rings.map((one, n) => (n === r ? points(one, i) : one));
      return {rings, box: around(rings.flat())};
    };
    return shape.rings.flatMap((points, r) => points.map(([x, y], i) => ({
      x, y, name: `corner ${i + 1} of ${points.length}${r ? `, ring ${r + 1}` : ""}`,
      to: (nx, ny) => moved(r, i, (one) => one.map((point, n) => (n === i ? [nx, ny] : point))),
      without: () => (points.length > 3 ? moved(r, i, (one) => one.filter((_, n) => n !== i)) : null),
      split: () => moved(r, i, (one) => {
        const [bx, by] = one[(i + 1) % one.length];
        return [...one.slice(0, i + 1), [round((x + bx) / 2), round((y + by) / 2)], ...one.slice(i + 1)];
      }),
    })));
  }
  if (shape.joints) {
    const moved = (i, joint) => {
      const joints = shape.joints.map((one, n) => (n === i ? joint : one));
      const [x0, y0, x1, y1] = around([shape.box.slice(0, 2), shape.box.slice(2), ...joints.filter(seen)]);
      return {joints, box: [clamp(x0, 0, width), clamp(y0, 0, height), clamp(x1, 0, width), clamp(y1, 0, height)]};
    };
    return shape.joints.map(([x, y, score], i) => ({
      x, y, name: `${names[i].replaceAll("_", " ")}${seen([x, y, score]) ? "" : ", not seen"}`, unseen: !seen([x, y, score]),
      to: (nx, ny) => moved(i, [nx, ny, 1]),
      without: () => moved(i, [x, y, 0]),
    }));
  }
  const [x0, y0, x1, y1] = shape.box;
  return SIDES.map(([sx, sy, name]) => ({
    x: sx < 0 ? x0 : sx > 0 ? x1 : (x0 + x1) / 2,
    y: sy < 0 ? y0 : sy > 0 ? y1 : (y0 + y1) / 2,
    name,
    to: (x, y) => ({box: [
      sx < 0 ? Math.min(x, x1 - LEAST) : x0, sy < 0 ? Math.min(y, y1 - LEAST) : y0,
      sx > 0 ? Math.max(x, x0 + LEAST) : x1, sy > 0 ? Math.max(y, y0 + LEAST) : y1]}),
  }));
}
