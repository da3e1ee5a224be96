// Outlines what a person clicks: Python is asked for the shape around the points. A tool of editor.js.

function shapesOutlining(view, {live, add, reshape}) {
  let points = [], target = null, serial = 0;
  const ask = () => {
    serial += 1;
    view.say("Outlining …");
    view.ask({points, serial});
  };
  return {
    hint: "Click on the thing, and with Shift on what is not part of it; or move the cross with the arrow keys, Enter " +
      "clicks, Shift and Enter is not part of it, Esc leaves.",
    begin(shape) {
      points = [];
      target = shape && !shape.joints ? shape.id : null;
      serial += 1;  // an answer to what was asked before is too late
    },
    press([x, y], event) { points = [...points, [x, y, !event.shiftKey]]; ask(); },
    drag() {},
    target: () => target,
    release() {},
    cancel() {},
    nodes: () => points.flatMap(([x, y, inside]) => ["edge", "line"]
      .map((name) => make("path", {class: `draft mark ${inside ? "in" : "out"} ${name}`, d: dot(x, y)}))),
    // The answer: rings, none where nothing was made out, and the box around them.
    answered({serial: of, rings, box, said}) {
      if (of !== serial || view.tool !== "outline") return;
      if (!rings.length) {
        points = points.slice(0, -1);
        view.say(said || "Nothing can be made out there.");
        return;
      }
      const shape = live(target), masked = view.value.draw.includes("polygon");
      const made = masked ? {type: shape && shape.rings ? shape.type : "polygon", rings, box} : {type: "box", box};
      if (shape) reshape(shape, made); else target = add(made);
      view.say(`Outlined from ${points.length} ${points.length === 1 ? "point" : "points"}; click again to correct it.`);
    },
  };
}
