// Shows a picture and its shapes. The value is `Shapes` of contract.py.

const DEFAULT_KEYS = {box: "b", polygon: "g", joints: "k", outline: "o", brush: "m", hide: "h", zoom_in: "+", zoom_out: "-", zoom_all: "0"};
const MOST = 40;  // times that a picture can be enlarged

function shapesView(element, props, trigger) {
  const root = element.querySelector(".sl-shapes");
  const image = make("image", {role: "img"});
  const layer = make("g", {class: "layer"});
  const overlay = make("g", {class: "overlay"});
  const svg = make("svg", {role: "group", tabindex: 0, "aria-roledescription": "picture with shapes"}, image, layer,
    overlay);
  const tip = make("div", {class: "tip", "aria-hidden": "true"});
  const stage = make("div", {class: "stage"}, svg, tip);
  const tools = make("div", {class: "bar", role: "group", "aria-label": "Picture"});
  const legend = make("div", {class: "legend", role: "group", "aria-label": "Labels shown"});
  const slider = make("input", {type: "range", min: 0, max: 1, step: 0.01});
  const least = make("output", {class: "least"});
  const count = make("span", {class: "count", role: "status"});
  const filter = make("div", {class: "filter"}, make("label", {}, "Score from ", slider), least, count);
  const said = make("div", {class: "said", role: "status"});
  root.replaceChildren(tools, stage, said, legend, filter);

  const view = {root, svg, stage, overlay, tools, value: null, shapes: [], selected: null, groups: new Map(), window: null,
    hiding: false, editor: null};

  view.say = (text) => { said.textContent = text; };
  view.button = (text, label, act, key) => {
    const made = make("button", {type: "button", "aria-label": label, title: key ? `${label} (${key})` : label}, text);
    made.addEventListener("click", act);
    tools.append(made);
    return made;
  };
  view.key = (action) => (view.value && view.value.keys[action]) || DEFAULT_KEYS[action];
  view.at = (event) => {
    const place = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
    const {width, height} = view.value;
    return [clamp(Math.round(place.x * 10) / 10, 0, width), clamp(Math.round(place.y * 10) / 10, 0, height)];
  };
  // Screen pixels for one pixel of the picture.
  view.scale = () => { const matrix = svg.getScreenCTM(); return matrix ? matrix.a : 1; };
  view.colour = (label) => {
    const place = view.colours.indexOf(label);
    return PALETTE[(place < 0 ? view.colours.push(label) - 1 : place) % PALETTE.length];
  };
  view.passes = (shape) => shape.state !== "deleted" && !view.value.hidden.includes(shape.label)
    && (shape.score === null || shape.score >= view.value.threshold);
  view.shape = (id) => view.shapes.find((shape) => shape.id === id);

  // ---- shapes
  function paint(group, shape) {
    const parts = [];
    let lines = shape.rings ? shape.rings.map(ring).join("") : boxPath(shape.box);
    if (shape.joints) {
      parts.push(["area", boxPath(shape.box)]);
      lines = view.value.links.map(([a, b]) => [shape.joints[a], shape.joints[b]]).filter(([a, b]) => seen(a) && seen(b))
        .map(([a, b]) => `M${a[0]} ${a[1]}L${b[0]} ${b[1]}`).join("");
      const dots = shape.joints.filter(seen).map(([x, y]) => dot(x, y)).join("");
      parts.push(["edge", lines], ["line", lines], ["edge dots", dots], ["line dots", dots]);
    } else parts.push(["area", lines], ["edge", lines], ["line", lines]);
    group.replaceChildren(...parts.map(([name, d]) => make("path", {class: name, d})));
    group.setAttribute("class", `shape ${shape.type}${view.selected === shape.id ? " selected" : ""}`);
    group.style.setProperty("--colour", view.colour(shape.label));
    group.setAttribute("role", view.value.editable ? "button" : "img");
    group.setAttribute("aria-label", nameOf(shape));
    if (view.value.editable) group.setAttribute("aria-pressed", String(view.selected === shape.id));
    group.drawn = shape;
    if (shape.joints) dots(group, view.scale());
  }
  // Joints of people in the distance would otherwise be blots.
  function dots(group, scale) {
    const [, top, , bottom] = group.drawn.box;
    group.style.setProperty("--dot", `${clamp((bottom - top) * scale / 28, 2.5, 6).toFixed(1)}px`);
  }

  // Shows another list of shapes; groups of shapes that are the same object stay as they are.
  view.show = (shapes) => {
    view.shapes = shapes;
    const kept = new Set(shapes.map((shape) => shape.id));
    for (const [id, group] of view.groups) if (!kept.has(id)) { group.remove(); view.groups.delete(id); }
    // Large things first, so that small ones in front of them can be reached.
    for (const shape of [...shapes].sort((a, b) => area(b) - area(a))) {
      let group = view.groups.get(shape.id);
      if (!group) {
        group = make("g", {tabindex: 0});
        group.dataset.id = shape.id;
        view.groups.set(shape.id, group);
        layer.append(group);
      }
      if (group.drawn !== shape) paint(group, shape);
    }
    view.filter();
  };

  view.select = (id) => {
    const before = view.selected;
    view.selected = id;
    for (const one of [before, id]) if (one && view.groups.has(one)) paint(view.groups.get(one), view.shape(one));
    if (view.editor) view.editor.selected();
    view.touch();
  };

  view.filter = () => {
    let passing = 0, all = 0;
    const counts = new Map(view.value.labels.map((label) => [label, 0]));
    for (const shape of view.shapes) {
      const passes = view.passes(shape);
      view.groups.get(shape.id).style.display = passes ? "" : "none";
      if (shape.state === "deleted") continue;
      all += 1;
      passing += passes;
      if (shape.score === null || shape.score >= view.value.threshold) {
        counts.set(shape.label, (counts.get(shape.label) || 0) + 1);
      } else if (!counts.has(shape.label)) counts.set(shape.label, 0);
    }
    const used = new Set(view.shapes.filter((shape) => shape.state !== "deleted").map((shape) => shape.label));
    count.textContent = `${passing} of ${all}`;
    least.textContent = view.value.threshold.toFixed(2);
    svg.setAttribute("aria-label", `${view.value.name || "Picture"}: ${passing} of ${all} shapes shown`);
    filter.hidden = !view.shapes.some((shape) => shape.score !== null);
    const entries = [...counts].filter(([label]) => used.has(label));
    // The same buttons stay, so that the focus does.
    if (entries.map(([label]) => label).join("\n") !== [...legend.children].map((one) => one.name).join("\n")) {
      legend.replaceChildren(...entries.map(([label]) => legendButton(label)));
    }
    entries.forEach(([label, number], place) => {
      const made = legend.children[place];
      made.lastChild.textContent = ` ${number}`;
      made.setAttribute("aria-pressed", String(!view.value.hidden.includes(label)));
    });
    if (view.editor) view.editor.drawn();
  };

  function legendButton(label) {
    const swatch = make("span", {class: "swatch", "aria-hidden": "true"});
    swatch.style.background = view.colour(label);
    const made = make("button", {type: "button"}, swatch, make("span", {}, label), make("span", {class: "number"}));
    made.name = label;
    made.addEventListener("click", () => {
      const hidden = view.value.hidden;
      view.value.hidden = hidden.includes(label) ? hidden.filter((one) => one !== label) : [...hidden, label];
      view.filter();
      view.publish({action: "filter"});
    });
    return made;
  }

  // ---- zoom and pan: `window` is the part of the picture that is seen
  view.look = (x, y, width) => {
    const {width: whole, height} = view.value;
    const w = clamp(width, whole / MOST, whole);
    const h = w * height / whole;
    view.window = {x: clamp(x, 0, whole - w), y: clamp(y, 0, height - h), w, h};
    svg.setAttribute("viewBox", `${view.window.x} ${view.window.y} ${w} ${h}`);
    image.style.imageRendering = view.scale() > 4 ? "pixelated" : "auto";
    const scale = view.scale();
    for (const group of view.groups.values()) if (group.drawn && group.drawn.joints) dots(group, scale);
    view.touch();
    hideTip();
  };
  view.zoom = (factor, [x, y] = [view.window.x + view.window.w / 2, view.window.y + view.window.h / 2]) => {
    const before = view.window;
    const w = clamp(before.w / factor, view.value.width / MOST, view.value.width);
    view.look(x - (x - before.x) * w / before.w, y - (y - before.y) * w / before.w, w);
    view.say(`${Math.round(view.value.width / view.window.w * 100)} %`);
  };
  view.whole = () => view.look(0, 0, view.value.width);
  // Moves a box into view when its middle is not seen.
  view.reveal = ([x0, y0, x1, y1]) => {
    const {x, y, w, h} = view.window, across = (x0 + x1) / 2, down = (y0 + y1) / 2;
    if (across < x || down < y || across > x + w || down > y + h) view.look(across - w / 2, down - h / 2, w);
  };
  view.zoomed = () => view.window.w < view.value.width;
  // A finger scrolls the page unless there is something to drag here.
  view.touch = () => { svg.style.touchAction = view.zoomed() || view.tool || view.selected ? "none" : "pan-y"; };
  view.hide = () => {
    view.hiding = !view.hiding;
    svg.classList.toggle("hiding", view.hiding);
    hide.setAttribute("aria-pressed", String(view.hiding));
    view.say(view.hiding ? "Shapes are hidden" : "Shapes are shown");
  };

  // ---- the name beside the shape under the pointer or with the focus
  function showTip(group) {
    const shape = group.drawn;
    const matrix = svg.getScreenCTM(), around = stage.getBoundingClientRect();
    const corner = new DOMPoint(shape.box[0], shape.box[1]).matrixTransform(matrix);
    tip.textContent = nameOf(shape);
    tip.classList.add("on");
    const y = corner.y - around.top - tip.offsetHeight - 4;
    tip.style.left = `${clamp(corner.x - around.left, 2, Math.max(2, around.width - tip.offsetWidth - 2))}px`;
    tip.style.top = `${y < 2 ? clamp(corner.y - around.top + 6, 2, around.height) : y}px`;
  }
  const hideTip = () => tip.classList.remove("on");
  const groupOf = (target) => (target instanceof Element ? target.closest(".shape") : null);
  svg.addEventListener("pointerover", (event) => (groupOf(event.target) ? showTip(groupOf(event.target)) : hideTip()));
  svg.addEventListener("pointerleave", hideTip);
  svg.addEventListener("focusin", (event) => {
    const group = groupOf(event.target);
    const place = group ? group.drawn.box : view.editor && view.editor.placeOf(event.target);
    if (place && view.window) view.reveal(place);
    if (group) showTip(group);
  });
  svg.addEventListener("focusout", hideTip);

  // ---- pointers
  const pointers = new Map();
  let pan = null, spread = 0;
  const distance = () => { const [a, b] = [...pointers.values()]; return Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY); };
  svg.addEventListener("wheel", (event) => {
    if (!event.ctrlKey || !view.value) return;
    event.preventDefault();
    view.zoom(event.deltaY < 0 ? 1.25 : 0.8, view.at(event));
  }, {passive: false});
  svg.addEventListener("pointerdown", (event) => {
    if (!view.value) return;
    pointers.set(event.pointerId, event);
    if (pointers.size === 2) { pan = null; spread = distance(); if (view.editor) view.editor.cancelDrag(); return; }
    if (view.editor && view.value.editable && event.button === 0 && view.editor.down(event, groupOf(event.target))) {
      svg.setPointerCapture(event.pointerId);
      return;
    }
    if (event.button !== 0) return;
    const group = groupOf(event.target);
    if (group && !view.value.editable) trigger("select", {id: group.dataset.id});
    if (view.zoomed()) { pan = {event, from: view.window}; svg.setPointerCapture(event.pointerId); }
  });
  svg.addEventListener("pointermove", (event) => {
    if (pointers.has(event.pointerId)) pointers.set(event.pointerId, event);
    if (pointers.size === 2) {
      const now = distance(), [a, b] = [...pointers.values()];
      if (spread > 0 && Math.abs(now / spread - 1) > 0.02) {
        view.zoom(now / spread, view.at({clientX: (a.clientX + b.clientX) / 2, clientY: (a.clientY + b.clientY) / 2}));
        spread = now;
      }
    } else if (pan) {
      const scale = view.scale();
      view.look(pan.from.x - (event.clientX - pan.event.clientX) / scale,
        pan.from.y - (event.clientY - pan.event.clientY) / scale, pan.from.w);
    } else if (view.editor && view.value && view.value.editable) view.editor.move(event);
  });
  const up = (event) => {
    pointers.delete(event.pointerId);
    pan = null;
    if (view.editor && view.value && view.value.editable) view.editor.up(event);
  };
  svg.addEventListener("pointerup", up);
  svg.addEventListener("pointercancel", up);

  // ---- keys, only while the focus is in here
  root.addEventListener("keydown", (event) => {
    const typing = event.target.matches("input:not([type=range]), select, textarea");
    if (!view.value || typing || event.altKey || event.metaKey) return;
    const used = (view.editor && view.value.editable && view.editor.keydown(event)) || pressed(event);
    if (used) { event.preventDefault(); event.stopPropagation(); }
  });
  function pressed(event) {
    const key = event.key.toLowerCase();
    if (event.ctrlKey) return false;
    if (event.target === slider && /^(arrow|page|home|end)/.test(key)) return false;
    if (key === view.key("zoom_in") || (key === "=" && view.key("zoom_in") === "+")) view.zoom(1.5);
    else if (key === view.key("zoom_out")) view.zoom(1 / 1.5);
    else if (key === view.key("zoom_all")) view.whole();
    else if (key === view.key("hide")) view.hide();
    else if (key === "escape" && groupOf(event.target)) svg.focus();
    else if (event.target === svg && view.zoomed() && key.startsWith("arrow")) {
      const step = view.window.w / 10, {x, y, w} = view.window;
      view.look(x + step * ((key === "arrowright") - (key === "arrowleft")),
        y + step * ((key === "arrowdown") - (key === "arrowup")), w);
    } else if (view.value.commands[key]) view.command(view.value.commands[key]);
    else return false;
    return true;
  }

  // ---- to and from Python
  let waiting = null;
  view.publish = (detail) => {
    view.value = {...view.value, shapes: view.shapes};
    props.value = JSON.parse(JSON.stringify(view.value));
    // One event for a row of quick changes; the value is set at once.
    clearTimeout(waiting);
    waiting = setTimeout(() => trigger("input", detail), 120);
  };
  view.command = (name) => trigger("command", {command: name});
  view.ask = (detail) => trigger("outline", detail);
  view.load = (given) => {
    // A plain copy: Gradio hands out proxies.
    const value = given && typeof given === "object" ? JSON.parse(JSON.stringify(given)) : null;
    if (value && value.outlined) {  // an answer; all else may have changed since it was asked for
      if (view.value) props.value = JSON.parse(JSON.stringify(view.value));
      if (view.value && view.editor && view.value.key === value.key) view.editor.answered(value.outlined);
      return;
    }
    root.hidden = !value;
    if (!value) { view.value = null; return; }
    const same = view.value && ["picture", "width", "height"].every((key) => view.value[key] === value[key]);
    const another = !view.value || view.value.key !== value.key;
    // The focus stays in here when the shape that has it goes away, so that keys go on working.
    const focused = svg.contains(document.activeElement);
    view.value = value;
    if (!same) view.colours = [];
    value.labels.forEach(view.colour);
    layer.replaceChildren();
    view.groups.clear();
    const address = safeAddress(value.picture);
    stage.style.setProperty("--ratio", `${value.width} / ${value.height}`);
    image.setAttribute("width", value.width);
    image.setAttribute("height", value.height);
    image.setAttribute("aria-label", value.name || "Picture");
    address ? image.setAttribute("href", address) : image.removeAttribute("href");
    slider.value = value.threshold;
    if (!value.shapes.some((shape) => shape.id === view.selected)) view.selected = null;
    if (!same || !view.window) view.whole();
    if (!same) view.say("");
    if (view.editor) view.editor.loaded();
    view.show(value.shapes);
    if (another && value.focus && view.shape(value.focus)) view.select(value.focus);
    else if (view.editor) view.editor.selected();
    if (focused) (view.groups.get(view.selected) || svg).focus({preventScroll: true});
  };
  image.addEventListener("error", () => view.say("The picture cannot be shown."));
  slider.addEventListener("input", () => { view.value.threshold = Number(slider.value); view.filter(); });
  slider.addEventListener("change", () => view.publish({action: "filter"}));

  view.button("+", "Zoom in", () => view.zoom(1.5), "+");
  view.button("−", "Zoom out", () => view.zoom(1 / 1.5), "−");
  view.button("Whole", "Whole picture", view.whole, "0");
  const hide = view.button("Hide", "Hide shapes", view.hide, "H");
  hide.setAttribute("aria-pressed", "false");
  return view;
}
