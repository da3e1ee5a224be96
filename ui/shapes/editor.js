// Adds, moves, reshapes, names and deletes shapes, by mouse, touch and keyboard; continues shapes.js and geometry.js,
// with the tools of outlining.js and brush.js.

const TOOLS = [["box", "Box", "Draw a box"], ["polygon", "Polygon", "Draw a polygon"], ["joints", "Person", "Draw a person"],
  ["outline", "Outline", "Outline what is clicked"], ["brush", "Brush", "Paint with a brush"]];

function shapesEditor(view) {
  const {svg, overlay} = view;
  const past = [], future = [];
  let last = {merge: "", time: 0}, drag = null, draft = null, given = 0, wanted = "";
  const buttons = {};
  const editor = {};

  // ---- changes
  function change(action, id, shapes, merge = "") {
    const now = Date.now();
    if (!merge || merge !== last.merge || now - last.time > 800) past.push(view.shapes);
    last = {merge, time: now};
    future.length = 0;
    put(shapes, {action, id});
  }
  function put(shapes, detail) {
    view.show(shapes);
    if (view.selected && !live(view.selected)) view.select(null); else editor.selected();
    view.publish(detail);
  }
  const live = (id) => { const shape = view.shape(id); return shape && shape.state !== "deleted" ? shape : null; };
  const edited = (shape, changes) => ({...shape, ...changes, state: shape.state === "added" ? "added" : "changed"});
  const swapped = (shape) => view.shapes.map((one) => (one.id === shape.id ? shape : one));
  function reshape(shape, changes, merge) {
    change("change", shape.id, swapped(edited(shape, {...changes, reshaped: true})), merge);
  }
  function travel(from, to, name) {
    if (!from.length) {
      if (Object.keys(view.value.commands).length) view.command(name); else view.say(`Nothing to ${name}`);
      return;
    }
    to.push(view.shapes);
    last = {merge: "", time: 0};
    put(from.pop(), {action: name, id: null});
    view.say(name === "undo" ? "Undone" : "Done again");
  }
  // Adds a shape, selects it, and returns its id.
  function add(shape) {
    given += 1;
    const taken = (id) => view.groups.has(id);
    while (taken(`n${given}`)) given += 1;
    const made = {id: `n${given}`, label: shape.joints ? "person" : wanted || view.value.labels[0] || "object", score: null,
      state: "added", ...shape};
    if (view.value.frame !== null) made.frame = view.value.frame;
    change("add", made.id, [...view.shapes, made]);
    view.select(made.id);
    view.groups.get(made.id).focus();
    view.say(`Added: ${made.label}`);
    return made.id;
  }
  function remove(id) {
    const shape = live(id);
    if (!shape) return;
    const order = [...view.groups.values()].filter((group) => group.style.display !== "none");
    const next = order[(order.indexOf(view.groups.get(id)) + 1) % order.length];
    change("delete", id, shape.state === "added" ? view.shapes.filter((one) => one !== shape)
      : swapped({...shape, state: "deleted"}));
    view.say(`Deleted: ${nameOf(shape)}`);
    (next && next.isConnected && next.dataset.id !== id ? next : svg).focus();
  }
  function relabel(label) {
    const name = label.trim().slice(0, 200);
    if (!name) return;
    wanted = name;
    if (!view.value.labels.includes(name)) view.value.labels = [...view.value.labels, name];
    const shape = live(view.selected);
    if (shape && shape.label !== name && !shape.joints) change("label", shape.id, swapped(edited(shape, {label: name})));
    view.say(shape && !shape.joints ? `Now: ${name}` : `New shapes are: ${name}`);
    listLabels();
  }

  // ---- handles of the selected shape
  let handles = [];
  function drawHandles() {
    const shape = view.value && view.value.editable ? live(view.selected) : null;
    const focus = handles.findIndex((one) => one.node === document.activeElement);
    const old = handles;
    handles = shape && view.passes(shape) ? handlesOf(shape, view.value.joints, view.value) : [];
    handles.forEach((one, i) => {
      // The nodes stay, so that the focus and the pointer do.
      one.node = old[i] ? old[i].node : make("g", {role: "button", tabindex: 0},
        make("path", {class: "reach"}), make("path", {class: "edge"}), make("path", {class: "line"}));
      one.node.setAttribute("class", `handle${one.unseen ? " unseen" : ""}`);
      one.node.setAttribute("aria-label", `${one.name}, ${Math.round(one.x)}, ${Math.round(one.y)}`);
      one.node.dataset.number = i;
      for (const path of one.node.children) path.setAttribute("d", dot(one.x, one.y));
    });
    overlay.replaceChildren(...handles.map((one) => one.node), ...draftNodes());
    if (focus >= 0 && handles.length) handles[Math.min(focus, handles.length - 1)].node.focus();
  }
  const handleOf = (target) => {
    const node = target instanceof Element ? target.closest(".handle") : null;
    return node ? handles[Number(node.dataset.number)] : null;
  };
  function draftNodes() {
    if (!draft) return [];
    const [x, y] = draft.cursor, points = draft.points, drawn = instrument() ? instrument().nodes() : [];
    const reach = 8 / view.scale();
    const d = points.length && view.tool !== "polygon" ? boxPath(around([points[0], draft.cursor]))
      : points.length ? ring([...points, draft.cursor]).slice(0, -1) : "";
    const cross = `M${x - reach} ${y}H${x + reach}M${x} ${y - reach}V${y + reach}`;
    return [...drawn, ...[["edge", d], ["line", d], ["edge", cross], ["line", cross]]
      .map(([name, path]) => make("path", {class: `draft ${name}`, d: path}))];
  }

  // ---- drawing
  const instruments = {outline: shapesOutlining(view, {live, add, reshape}), brush: shapesBrush(view, {live, add, reshape})};
  const instrument = () => (view.tool ? instruments[view.tool] : null);
  editor.answered = (answer) => instruments.outline.answered(answer);
  function take(tool) {
    // What was selected, or worked on by the instrument before, is what an instrument works on, and selected afterwards.
    const held = live(instrument() ? instrument().target() : view.selected), worked = Boolean(instrument());
    view.tool = view.tool === tool ? null : tool;
    const {x, y, w, h} = view.window;
    draft = view.tool ? {points: [], cursor: [Math.round(x + w / 2), Math.round(y + h / 2)]} : null;
    if (instrument()) instrument().begin(held);
    instruments.brush.shown(view.tool === "brush");
    if (view.tool) view.select(null);
    for (const [name] of TOOLS) buttons[name].setAttribute("aria-pressed", String(view.tool === name));
    svg.classList.toggle("drawing", Boolean(view.tool));
    view.touch();
    drawHandles();
    if (instrument()) {
      svg.focus();
      view.say(instrument().hint);
    } else if (view.tool) {
      svg.focus();
      view.say(`${view.tool === "polygon" ? "Click corners, Enter twice closes" : "Drag a box"}; or move the cross with the
        arrow keys, Enter sets a corner, Esc leaves.`.replace(/\s+/g, " "));
    } else {
      view.say("");
      if (worked && held && view.groups.has(held.id)) {
        view.select(held.id);
        view.groups.get(held.id).focus({preventScroll: true});
      }
    }
  }
  function corner(point) {
    const {points} = draft, before = points[points.length - 1];
    draft.cursor = point;
    const near = (a) => Math.hypot(a[0] - point[0], a[1] - point[1]) * view.scale() < 10;
    if (view.tool === "polygon") {
      if (points.length >= 3 && (near(points[0]) || (before[0] === point[0] && before[1] === point[1]))) { finish(); return; }
      if (!before || before[0] !== point[0] || before[1] !== point[1]) points.push(point);
      view.say(`Corner ${points.length} at ${point.join(", ")}`);
    } else if (points.length) { finish(); return; } else {
      points.push(point);
      view.say(`First corner at ${point.join(", ")}`);
    }
    drawHandles();
  }
  function finish() {
    const {points, cursor} = draft, tool = view.tool;
    const box = around(tool === "polygon" ? points : [points[0], cursor]);
    const [x0, y0, x1, y1] = box;
    if (x1 - x0 < LEAST || y1 - y0 < LEAST) { draft.points = []; drawHandles(); return; }
    take(tool);
    if (tool === "polygon") add({type: "polygon", box, rings: [points]});
    else if (tool === "box") add({type: "box", box});
    else add({type: "joints", box, joints: STANDING.map(([x, y]) => [round(x0 + x * (x1 - x0)), round(y0 + y * (y1 - y0)), 1])});
  }

  // ---- pointers; `view` hands them over
  editor.down = (event, group) => {
    const point = view.at(event), handle = handleOf(event.target);
    if (instrument()) {
      event.preventDefault();
      svg.focus();
      instrument().press(point, event);
      drag = {paint: true};
      drawHandles();
      return true;
    }
    if (view.tool) {
      event.preventDefault();
      svg.focus();
      corner(point);
      if (draft && view.tool !== "polygon") drag = {draw: true, start: event};
      return true;
    }
    if (handle) {
      handle.node.focus();
      drag = {number: handles.indexOf(handle), shape: live(view.selected), before: view.shapes};
      return true;
    }
    if (!group) { if (view.selected) view.select(null); return false; }
    const known = view.selected === group.dataset.id;
    group.focus();
    if (!known) view.select(group.dataset.id);
    // A finger moves a shape once it is selected, so that the page can be scrolled over it.
    if (known || event.pointerType !== "touch") {
      drag = {move: true, start: event, from: point, shape: live(view.selected), before: view.shapes};
    }
    return true;
  };
  editor.move = (event) => {
    if (draft) {
      draft.cursor = view.at(event);
      if (drag && drag.paint) instrument().drag(draft.cursor);
      drawHandles();
    }
    if (!drag || drag.draw || drag.paint) return;
    if (drag.move && !drag.on && Math.hypot(event.clientX - drag.start.clientX, event.clientY - drag.start.clientY) < 3) return;
    drag.on = true;
    const [x, y] = view.at(event);
    const changes = drag.move ? shifted(drag.shape, x - drag.from[0], y - drag.from[1], view.value)
      : handlesOf(drag.shape, view.value.joints, view.value)[drag.number].to(x, y);
    view.show(swapped(edited(drag.shape, {...changes, reshaped: true})));
    drawHandles();
  };
  editor.up = (event) => {
    if (drag && drag.draw && draft && Math.hypot(event.clientX - drag.start.clientX, event.clientY - drag.start.clientY) > 4) {
      draft.cursor = view.at(event);
      finish();
    } else if (drag && drag.paint) {
      if (instrument()) instrument().release();
      drawHandles();
    } else if (drag && drag.on) {
      const shapes = view.shapes;
      view.shapes = drag.before;
      change("change", drag.shape.id, shapes);
    }
    drag = null;
  };
  editor.cancelDrag = () => {
    if (drag && drag.before) view.show(drag.before);
    if (drag && drag.draw && draft) draft.points = [];
    if (drag && drag.paint && instrument()) instrument().cancel();
    drag = null;
    drawHandles();
  };
  svg.addEventListener("dblclick", (event) => {
    const shape = view.value && view.value.editable && !view.tool ? live(view.selected) : null;
    if (!shape || !shape.rings || handleOf(event.target)) return;
    // A new corner on the nearest edge.
    const [x, y] = view.at(event);
    let best = null;
    shape.rings.forEach((points, r) => points.forEach(([ax, ay], i) => {
      const [bx, by] = points[(i + 1) % points.length], length = (bx - ax) ** 2 + (by - ay) ** 2;
      const t = length ? clamp(((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / length, 0, 1) : 0;
      const far = Math.hypot(x - ax - t * (bx - ax), y - ay - t * (by - ay));
      if (!best || far < best.far) best = {far, r, i};
    }));
    const rings = shape.rings.map((points, r) => (r === best.r ? points.toSpliced(best.i + 1, 0, [x, y]) : points));
    reshape(shape, {rings, box: around(rings.flat())});
  });

  // ---- keys
  editor.keydown = (event) => {
    const key = event.key, lower = key.toLowerCase(), handle = handleOf(event.target);
    if (event.ctrlKey) {
      if (lower === "z") { event.shiftKey ? travel(future, past, "redo") : travel(past, future, "undo"); return true; }
      return false;
    }
    if (event.target instanceof HTMLElement && (key === "Enter" || key === " " || key in ARROWS)) return false;
    const step = event.shiftKey ? 10 : 1;
    if (view.tool) {
      if (key in ARROWS) {
        const [dx, dy] = ARROWS[key], [x, y] = draft.cursor;
        draft.cursor = [clamp(x + dx * step, 0, view.value.width), clamp(y + dy * step, 0, view.value.height)];
        drawHandles();
        view.say(draft.cursor.join(", "));
        return true;
      }
      if (key === "Enter" && instrument()) {
        instrument().press([...draft.cursor], event);
        instrument().release();
        drawHandles();
        return true;
      }
      if (key === "Enter") { corner([...draft.cursor]); return true; }
      if (key === "Escape") { take(view.tool); return true; }
    }
    for (const tool of view.value.draw) if (lower === view.key(tool)) { take(tool); return true; }
    const focused = event.target instanceof Element ? event.target.closest(".shape") : null;
    const shape = live(focused ? focused.dataset.id : view.selected);
    if (handle && shape) {
      const merge = `handle ${shape.id} ${handle.name}`;
      if (key in ARROWS) {
        const [dx, dy] = ARROWS[key];
        reshape(shape, handle.to(clamp(round(handle.x + dx * step), 0, view.value.width),
          clamp(round(handle.y + dy * step), 0, view.value.height)), merge);
        return true;
      }
      if (key === "Delete" || key === "Backspace") {
        const changes = handle.without && handle.without();
        if (changes) reshape(shape, changes); else view.say("This corner has to stay");
        return true;
      }
      if (key === "Insert" && handle.split) { reshape(shape, handle.split()); return true; }
      if (key === "Escape") { view.groups.get(shape.id).focus(); return true; }
      return false;
    }
    if (shape && focused) {
      if (view.selected !== shape.id && (key in ARROWS || key === "Enter" || key === " " || /^[1-9]$/.test(key))) {
        view.select(shape.id);
      }
      if (key in ARROWS) {
        const [dx, dy] = ARROWS[key];
        reshape(shape, shifted(shape, dx * step, dy * step, view.value), `move ${shape.id}`);
        return true;
      }
      if (key === "Enter" || key === " ") { if (handles.length) handles[0].node.focus(); return true; }
    }
    if (/^[1-9]$/.test(key) && view.value.labels[key - 1]) { relabel(view.value.labels[key - 1]); return true; }
    if (shape && (key === "Delete" || key === "Backspace")) { remove(shape.id); return true; }
    if (key === "Escape" && view.selected) { view.select(null); svg.focus(); return true; }
    return false;
  };

  // ---- the bar
  const uid = `labels-${Math.random().toString(36).slice(2)}`;
  const list = make("datalist", {id: uid});
  const naming = make("input", {type: "text", list: uid, maxlength: 200, autocomplete: "off"});
  const label = make("label", {class: "naming"}, "Label ", naming, list);
  const listLabels = () => list.replaceChildren(...view.value.labels.map((one) => make("option", {value: one})));
  naming.addEventListener("change", () => relabel(naming.value));
  naming.addEventListener("keydown", (event) => { if (event.key === "Enter") relabel(naming.value); });
  for (const [tool, text, said] of TOOLS) {
    buttons[tool] = view.button(text, said, () => take(tool), DEFAULT_KEYS[tool].toUpperCase());
  }
  buttons.undo = view.button("Undo", "Undo", () => travel(past, future, "undo"), "Ctrl+Z");
  buttons.redo = view.button("Redo", "Redo", () => travel(future, past, "redo"), "Ctrl+Shift+Z");
  buttons.remove = view.button("Delete", "Delete the selected shape", () => remove(view.selected), "Del");
  view.tools.append(label, instruments.brush.bar);

  editor.selected = () => {
    const shape = view.value && live(view.selected);
    buttons.remove.disabled = !shape;
    naming.value = shape ? shape.label : wanted;
    buttons.undo.disabled = !past.length;
    buttons.redo.disabled = !future.length;
    drawHandles();
  };
  editor.drawn = drawHandles;
  editor.placeOf = (target) => { const handle = handleOf(target); return handle && [handle.x, handle.y, handle.x, handle.y]; };
  editor.loaded = () => {
    past.length = future.length = 0;
    drag = null;
    if (view.tool) take(view.tool);
    const {editable, draw} = view.value;
    for (const [name, button] of Object.entries(buttons)) button.hidden = !editable || (TOOLS.some(([tool]) => tool === name) && !draw.includes(name));
    label.hidden = !editable;
    instruments.brush.bar.hidden = !editable || !draw.includes("brush");
    listLabels();
  };
  view.editor = editor;
}
