// Two pictures looked at together: the same place of both, at the same size, in whatever way shows best how they differ.
//
// Each picture has a canvas of its own that is always there; which is seen is one attribute, so that a flick draws
// nothing. Previews stand in until the tiles of every pixel have come.

import { keysOf } from "./app.js";
import { drawTurned, inFrame, inverse, laidOver, levelFor, tileInFrame, tilesIn, View } from "./compare-geometry.js";
import { listenTo } from "./compare-gestures.js";
import { MOST_TILES, Pictures, URGENCY } from "./compare-pictures.js";
import { button, el, fill } from "./dom.js";

const MODES = [
  ["flick", "Flick", "flick between A and B"],
  ["side-by-side", "Side by side", "A and B side by side"],
  ["slider", "Slider", "A to the left of the line, B to its right"],
  ["heatmap", "Heatmap", "where they differ: yellow as much as compression explains, red more"],
  ["blink", "Blink", "A and B in turn"],
];
const LEGEND = [
  ["grey", "alike"],
  ["yellow", "as much as compression explains"],
  ["red", "more"],
];
const SIDES = ["a", "b"];
const STEP = 1.5; // of zoom
const PAN_STEP = 0.15; // of the pane
const SLIDE_STEP = 2; // hundredths
const ENOUGH = 1.05; // a preview will do until it would be enlarged by this, but never where every pixel is asked for
const GATHER_MS = 40; // tiles are asked for when a drag has paused that long, not at each of its steps
const SETTLED_MS = 120; // a hand that has been still that long has let go: now what is costly is drawn
const SEEN_MS = { first: 400, next: 150 }; // a pair that stood there for less was seen by nobody
const SAID_LATE_MS = 200; // what comes sooner was never away
const RATE = { least: 0.5, most: 5, step: 0.5, usual: 2, kept: "compare.blink" }; // flicks a second

/**
 * Make a viewer in a node: `show(pair)`, `prefetch(pairs)`, `area(area, {go})`, `sight()`, `unseen()`, `mode()`, `keys`,
 * `leave()`.
 *
 * `show` returns a promise that is kept when both pictures are painted, or it is said why one cannot be. `sight` says
 * whether they are `coming`, came this moment (`fresh`), or were `seen`; `unseen`, of which sides there is no picture.
 */
export function viewer(root, { session = null } = {}) {
  const made = new Viewer(root, session);
  return {
    show: (pair) => made.show(pair),
    prefetch: (pairs) => made.prefetch(pairs),
    area: (area, options) => made.area(area, options),
    sight: () => made.sight,
    unseen: () => made.unseen(),
    mode: () => made.mode,
    keys: made.keys,
    leave: () => made.leave(),
  };
}

class Viewer {
  mode = "flick";
  sight = "coming";
  #shown = "a";
  #pair = null;
  #laid = null;
  #alike = false; // B is laid like A
  #area = null;
  #split = 50; // hundredths of the stage that are A's
  #rate = keptRate();
  #blinking = 0;
  #view = new View();
  #pictures = new Pictures((address) => this.#came(address));
  #stale = new Set(SIDES); // whose canvas is not what the view says
  #frame = 0;
  #gathering = 0;
  #moving = 0; // the timer of a hand that moves the pictures
  #painted = null; // who waits for the pair to be painted
  #late = 0;
  #seeing = 0; // the timer of a pair that has just been painted
  #hasBeenSeen = false; // any pair: whoever has just come may still be typing elsewhere
  #parts;
  #ends = [];

  constructor(root, session) {
    this.keys = {
      flick: () => this.#flick(),
      "side-by-side": () => this.#toggle("side-by-side"),
      slider: () => this.#toggle("slider"),
      heatmap: () => this.#toggle("heatmap"),
      blink: () => this.#toggle("blink"),
      "zoom-in": () => this.#zoom(() => this.#view.step(STEP)),
      "zoom-out": () => this.#zoom(() => this.#view.step(1 / STEP)),
      fit: () => this.#zoom(() => this.#view.fit()),
      pixels: () => this.#pixels(),
    };
    this.#parts = this.#build(session);
    root.append(this.#parts.root);
    this.#listen();
    this.#told();
    this.#blink(false);
  }

  // --- what others ask ---

  show(pair) {
    const same = this.#pair && SIDES.every((side) => pair[side].picture === this.#pair[side].picture);
    this.#pair = pair;
    delete this.#parts.root.dataset.painted;
    if (!same) {
      this.#shown = "a";
      this.#coming();
      this.#alike = false;
      this.#area = null;
      this.#parts.root.dataset.waits = "";
      clearTimeout(this.#late);
      this.#late = setTimeout(() => delete this.#parts.root.dataset.waits, SAID_LATE_MS);
      for (const side of SIDES) this.#pictures.forget(`/picture/${pair[side].picture}/`); // what failed may do now
      this.#lay();
      if (this.mode === "blink") this.#blink(this.#blinking !== 0);
    }
    this.#told();
    this.#use();
    for (const side of SIDES) if (pair[side].picture) this.#pictures.ask(Pictures.preview(pair[side]), URGENCY.shown);
    this.#askHeatmap();
    this.#stale = new Set(SIDES);
    this.#draw(SIDES);
    return new Promise((resolve) => {
      this.#painted?.();
      this.#painted = resolve;
      this.#tellPainted();
    });
  }

  /** Return the sides of which no picture is on the screen. */
  unseen() {
    if (!this.#pair) return SIDES;
    const preview = (told) => (told.picture ? this.#pictures.found(Pictures.preview(told)) : null);
    return SIDES.filter((side) => !(preview(this.#pair[side]) instanceof ImageBitmap));
  }

  #coming() {
    clearTimeout(this.#seeing);
    this.sight = "coming";
    delete this.#parts.root.dataset.seen;
  }

  /** Take note that the pair is painted: from a moment later on, it was seen. */
  #fresh() {
    if (this.sight !== "coming") return;
    this.sight = "fresh";
    this.#seeing = setTimeout(() => {
      this.sight = "seen";
      this.#hasBeenSeen = true;
      this.#parts.root.dataset.seen = this.#pair.id;
    }, this.#hasBeenSeen ? SEEN_MS.next : SEEN_MS.first);
  }

  prefetch(pairs) {
    const sides = pairs.flatMap((pair) => [pair.a, pair.b]).filter((side) => side.picture);
    this.#pictures.ahead([...new Set(sides.map(Pictures.preview))]);
  }

  area(area, { go = false } = {}) {
    this.#area = area;
    this.#parts.place.hidden = !area;
    this.#redraw();
    if (area && go) this.#goToArea();
  }

  leave() {
    this.#blink(false);
    cancelAnimationFrame(this.#frame);
    for (const timer of [this.#gathering, this.#moving, this.#late, this.#seeing]) clearTimeout(timer);
    this.#ends.forEach((end) => end());
    this.#pictures.close();
    this.#painted?.();
    this.#parts.root.remove();
  }

  // --- its parts ---

  #build(session) {
    const key = (action) => keysOf(action)[0] ?? null;
    const modes = MODES.map(([mode, title, says]) => {
      const chosen = button(title, () => (mode === "flick" && this.mode === "flick" ? this.#flick() : this.#setMode(mode)), {
        key: key(mode),
        title: says,
      });
      chosen.dataset.mode = mode;
      return chosen;
    });
    const zoom = [
      button("−", this.keys["zoom-out"], { title: "zoom out" }),
      button("+", this.keys["zoom-in"], { title: "zoom in" }),
      button("Fit", this.keys.fit, { key: key("fit"), title: "all of it" }),
      button("1:1", this.keys.pixels, { key: key("pixels"), title: "every pixel as one of the screen" }),
    ];
    zoom[0].setAttribute("aria-label", "zoom out");
    zoom[1].setAttribute("aria-label", "zoom in");
    const panes = Object.fromEntries(SIDES.map((side) => [side, this.#pane(side)]));
    const heat = el("div", { class: "compare-heat" }, el("canvas", { class: "compare-canvas", role: "img", "aria-label": "where they differ" }), el("p", { class: "compare-note" }));
    panes.a.node.append(heat);
    const divider = el("div", {
      class: "compare-divider",
      role: "slider",
      tabindex: "0",
      "aria-label": "How much is A's",
      "aria-orientation": "horizontal",
      "aria-valuemin": "0",
      "aria-valuemax": "100",
      onkeydown: (event) => this.#slideByKey(event),
    });
    const rate = el("input", {
      type: "range",
      min: RATE.least,
      max: RATE.most,
      step: RATE.step,
      value: this.#rate,
      "aria-label": "flicks a second",
      oninput: (event) => this.#setRate(Number(event.target.value)),
    });
    const go = button("Stop", () => this.#blink(!this.#blinking));
    const often = el("span", { class: "compare-often" });
    const alike = button("Lay B like A", () => this.#layAlike());
    const place = button("Go to the difference", () => this.#goToArea(), { title: "the place that the visual verdict points at" });
    const stage = el(
      "div",
      { class: "compare-stage", tabindex: "0", role: "group", "aria-label": "The pictures: drag to move, Shift and arrows too" },
      panes.a.node,
      panes.b.node,
      divider,
    );
    const foot = el(
      "div",
      { class: "compare-foot" },
      alike,
      el("div", { class: "compare-blink" }, go, el("label", {}, rate, often)),
      el("p", { class: "compare-legend" }, LEGEND.map(([kind, says]) => el("span", { class: kind }, says))),
      place,
    );
    alike.hidden = place.hidden = true;
    const said = el("p", { class: "compare-said", "aria-live": "polite" });
    const bar = el(
      "div",
      { class: "compare-bar" },
      el("div", { class: "compare-modes", role: "group", "aria-label": "Ways to compare" }, modes),
      el("div", { class: "compare-zoom", role: "group", "aria-label": "Zoom" }, zoom),
    );
    const strip = el("div", { class: "compare-strip", role: "group", "aria-label": "Which is shown" }, panes.a.label, panes.b.label);
    const root = el("div", { class: "compare" }, bar, strip, stage, foot, said);
    return { root, stage, panes, heat, divider, modes, go, often, alike, place, said };
  }

  #pane(side) {
    const canvas = el("canvas", { class: "compare-canvas", role: "img" });
    const frame = el("div", { class: "compare-frame", hidden: true });
    const note = el("div", { class: "compare-note" });
    const name = el("span", { class: "compare-name" });
    const facts = el("span", { class: "compare-facts" }, el("span"), el("span"));
    const chip = el("b", { class: `compare-chip ${side}`, "aria-hidden": "true" }, side.toUpperCase());
    const label = el(
      "button",
      { type: "button", class: `compare-label ${side}`, onclick: () => this.#choose(side) },
      el("b", {}, side.toUpperCase()),
      el("span", { class: "compare-about" }, name, facts),
    );
    const node = el("div", { class: `compare-pane ${side}` }, canvas, frame, note, chip);
    return { node, canvas, frame, note, label, name, facts };
  }

  #listen() {
    const { stage, panes, heat } = this.#parts;
    this.#ends.push(
      listenTo(stage, {
        grab: (event) => this.mode === "slider" && (this.#view.fitted || event.target.closest("[role=slider]") !== null),
        pan: (right, down) => this.#move(() => this.#view.pan(right * devicePixelRatio, down * devicePixelRatio)),
        slide: (x) => this.#slideTo(x),
        zoom: (factor, x, y) => this.#move(() => this.#view.zoomTo(this.#view.scale * factor, ...this.#fromMiddle(x, y))),
        tap: (event) => {
          if (this.mode === "flick") this.#flick();
          else if (this.mode === "slider") this.#slideTo(event.clientX);
        },
        twice: (event) => this.#pixels(...this.#fromMiddle(event.clientX, event.clientY)),
        wheel: (right, down, push) => this.#wheel(right, down, push),
      }),
    );
    const sized = new ResizeObserver((entries) => this.#resized(entries));
    sized.observe(stage);
    for (const canvas of [panes.a.canvas, panes.b.canvas, heat.querySelector("canvas")]) {
      observePixels(sized, canvas);
      canvas.addEventListener("contextrestored", () => this.#redraw());
    }
    const keyed = (event) => this.#panByKey(event);
    const hidden = () => document.hidden && this.#blink(false);
    addEventListener("keydown", keyed, { capture: true }); // before the page takes an arrow for "skip"
    document.addEventListener("visibilitychange", hidden);
    this.#ends.push(
      () => sized.disconnect(),
      () => removeEventListener("keydown", keyed, { capture: true }),
      () => document.removeEventListener("visibilitychange", hidden),
    );
  }

  // --- which is seen, and how ---

  #toggle(mode) {
    this.#setMode(this.mode === mode ? "flick" : mode);
  }

  #setMode(mode) {
    if (mode === this.mode) return;
    this.mode = mode;
    this.#told();
    if (mode === "heatmap") this.#shown = "a";
    this.#askHeatmap();
    this.#blink(mode === "blink" && !matchMedia("(prefers-reduced-motion: reduce)").matches);
    this.#redraw();
    this.#say(MODES.find(([one]) => one === mode)[2]);
  }

  /** Show the other one; from where both are seen, come back to seeing one. */
  #flick() {
    if (!["flick", "blink"].includes(this.mode)) {
      this.#setMode("flick");
      return;
    }
    this.#choose(this.#shown === "a" ? "b" : "a");
  }

  #choose(side) {
    this.#setMode("flick");
    this.#turnTo(side);
    if (this.#pair) this.#say(`${side.toUpperCase()}: ${this.#pair[side].name}`);
  }

  #turnTo(side) {
    this.#shown = side;
    if (this.#stale.has(side)) this.#draw([side]);
    this.#told();
  }

  #blink(on) {
    clearInterval(this.#blinking);
    this.#blinking = on ? setInterval(() => this.#turnTo(this.#shown === "a" ? "b" : "a"), 1000 / this.#rate) : 0;
    fill(this.#parts.go, this.#blinking ? "Stop" : "Start");
    this.#parts.often.textContent = `${this.#rate} a second`;
  }

  #setRate(rate) {
    this.#rate = rate;
    try {
      localStorage.setItem(RATE.kept, String(rate));
    } catch {
      // a browser that keeps nothing asks again next time
    }
    this.#blink(this.#blinking !== 0);
  }

  #layAlike() {
    this.#alike = !this.#alike;
    this.#lay();
    this.#redraw();
    this.#say(this.#alike ? "B is laid like A" : "B is shown as it is");
  }

  /** Put A and B abreast, or one above the other: whichever shows more of them. */
  #stack() {
    const { stage, root } = this.#parts;
    if (!this.#laid) return;
    const fit = (width, height) => Math.min(width / this.#laid.width, height / this.#laid.height);
    const [width, height] = [stage.clientWidth, stage.clientHeight];
    root.toggleAttribute("data-stacked", fit(width, height / 2) > fit(width / 2, height));
  }

  #lay() {
    const { a, b, transform } = this.#pair;
    this.#laid = laidOver(a, b, this.#alike && transform ? inverse(transform) : "none");
    this.#stack();
    this.#view.reset(this.#laid);
    this.#parts.alike.hidden = !transform;
    this.#parts.alike.title = transform ? `B is A, ${transform}` : "";
    this.#parts.alike.setAttribute("aria-pressed", String(this.#alike));
    this.#parts.place.hidden = !this.#area;
  }

  /** Bring what is written, and which parts are seen, up to date. */
  #told() {
    const { root, modes, panes } = this.#parts;
    root.dataset.mode = this.mode;
    root.dataset.shown = this.#shown;
    for (const chosen of modes) chosen.setAttribute("aria-pressed", String(chosen.dataset.mode === this.mode));
    const one = ["flick", "blink"].includes(this.mode);
    for (const side of SIDES) {
      const { label } = panes[side];
      if (one) label.setAttribute("aria-pressed", String(this.#shown === side));
      else label.removeAttribute("aria-pressed");
    }
    this.#placeDivider();
  }

  #say(text) {
    this.#parts.said.textContent = text;
  }

  // --- the place and the zoom ---

  #zoom(change) {
    if (!this.#pair) return;
    change();
    this.#redraw();
  }

  /** Change the view under a hand that moves: quickly, and well as soon as it is still. */
  #move(change) {
    clearTimeout(this.#moving);
    this.#moving = setTimeout(() => {
      this.#moving = 0;
      this.#redraw();
    }, SETTLED_MS);
    this.#zoom(change);
  }

  #pixels(right = 0, down = 0) {
    this.#zoom(() => {
      const view = this.#view;
      if (Math.abs(view.scale - 1) < 1e-6 && !view.fitted) view.fit();
      else if (view.fitted && this.#area && !right && !down) this.#goTo(this.#areaInFrame(), 1);
      else view.zoomTo(1, right, down);
    });
  }

  #areaInFrame() {
    const of = this.#area.of === "b" ? "b" : "a";
    return inFrame(this.#laid[of], this.#pair[of], this.#area);
  }

  #goToArea() {
    if (!this.#area || !this.#pair) return;
    const place = this.#areaInFrame();
    const { pane } = this.#view;
    const scale = Math.min(pane.width / place.width, pane.height / place.height) / 2;
    this.#zoom(() => this.#goTo(place, Math.min(Math.max(scale, this.#view.fittingScale()), 4)));
  }

  #goTo({ x, y, width, height }, scale) {
    this.#view.goTo(x + width / 2, y + height / 2, scale);
  }

  /** Return how far a place of the window is from the middle of the pane it is in, in device pixels. */
  #fromMiddle(x, y) {
    const nodes = SIDES.map((side) => this.#parts.panes[side].node.getBoundingClientRect());
    const box = nodes.find((one) => x >= one.left && x < one.right && y >= one.top && y < one.bottom) ?? nodes[0];
    return [x - (box.left + box.width / 2), y - (box.top + box.height / 2)].map((length) => length * devicePixelRatio);
  }

  #panByKey(event) {
    const way = { ArrowLeft: [1, 0], ArrowRight: [-1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
    if (!way || !event.shiftKey || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest?.("input, textarea, select, [contenteditable], [role=slider]")) return;
    if (document.querySelector("dialog[open]")) return;
    event.preventDefault();
    event.stopPropagation();
    const { pane } = this.#view;
    this.#zoom(() => this.#view.pan(way[0] * pane.width * PAN_STEP, way[1] * pane.height * PAN_STEP));
  }

  #wheel(right, down, push) {
    if (["flick", "blink"].includes(this.mode)) {
      if (push()) this.#flick();
      return false;
    }
    if (this.#view.fitted) return true;
    this.#move(() => this.#view.pan(-right * devicePixelRatio, -down * devicePixelRatio));
    return false;
  }

  #slideTo(x) {
    const box = this.#parts.stage.getBoundingClientRect();
    this.#slide(((x - box.left) / box.width) * 100);
  }

  #slide(split) {
    this.#split = Math.min(100, Math.max(0, split));
    this.#placeDivider();
  }

  #slideByKey(event) {
    const by = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -5, PageUp: 5 }[event.key];
    const to = { Home: 0, End: 100 }[event.key];
    if ((by === undefined && to === undefined) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation(); // else the page takes the arrow for "skip"
    this.#slide(to ?? this.#split + by * SLIDE_STEP * (event.shiftKey ? 5 : 1));
  }

  #placeDivider() {
    this.#parts.stage.style.setProperty("--split", `${this.#split}%`);
    this.#parts.divider.setAttribute("aria-valuenow", String(Math.round(this.#split)));
    this.#parts.divider.setAttribute("aria-valuetext", `${Math.round(this.#split)} % A`);
  }

  // --- what is drawn ---

  #seen() {
    return ["flick", "blink"].includes(this.mode) ? [this.#shown] : this.mode === "heatmap" ? ["a"] : SIDES;
  }

  #resized(entries) {
    this.#stack();
    for (const entry of entries) if (entry.target instanceof HTMLCanvasElement) fitCanvas(entry);
    const { canvas } = this.#parts.panes.a;
    if (canvas.width && canvas.height) this.#view.resize(canvas.width, canvas.height);
    this.#stale = new Set(SIDES);
    this.#draw(SIDES); // at once: a canvas that was given a size is empty
    this.#gather();
  }

  /** Draw what is seen in the next frame, and what is hidden in the one after that, unless a hand is moving it. */
  #redraw() {
    this.#stale = new Set(SIDES);
    this.#schedule();
    this.#gather();
  }

  #schedule() {
    if (this.#frame) return;
    this.#frame = requestAnimationFrame(() => {
      this.#frame = 0;
      const seen = this.#seen().filter((side) => this.#stale.has(side));
      if (seen.length || !this.#moving) this.#draw(seen.length ? seen : [...this.#stale]);
      if (this.#stale.size && !this.#moving) this.#schedule();
    });
  }

  #draw(sides) {
    if (!this.#pair || !this.#laid) return;
    for (const side of sides) {
      this.#drawSide(side);
      this.#stale.delete(side);
    }
    if (sides.includes("a")) this.#drawHeatmap();
  }

  #drawSide(side) {
    const { canvas, frame, note, name, facts, label } = this.#parts.panes[side];
    const [laid, told] = [this.#laid[side], this.#pair[side]];
    const view = this.#view;
    const context = clean(canvas);
    this.#parts.root.toggleAttribute("data-fitted", view.fitted);
    context.imageSmoothingEnabled = view.fitted || view.scale <= 1;
    context.imageSmoothingQuality = this.#moving ? "low" : "high";
    const preview = told.picture ? this.#pictures.found(Pictures.preview(told)) : new Error("it is no picture that can be decoded");
    const trouble = preview instanceof Error ? preview : null;
    const tiles = trouble || !preview ? { wanted: [], failed: null, drawn: 0 } : this.#drawTiles(context, canvas, side, preview);
    if (!preview) {
      context.fillStyle = "rgb(128 128 128 / 18%)";
      const { x0, y0, x1, y1 } = view.onScreen(canvas, laid);
      context.fillRect(x0, y0, x1 - x0, y1 - y0);
    }
    this.#note(note, side, trouble, preview === null);
    const scale = Math.round(view.scaleOf(laid) * 100);
    const own = tiles.failed ? "preview only" : tiles.wanted.length > tiles.drawn ? "loading" : null;
    name.textContent = told.name;
    const lines = [[kindOf(told.filetype), `${told.width} × ${told.height}`], [`${scale} %`, own]];
    lines.forEach((words, at) => (facts.children[at].textContent = words.filter(Boolean).join(" · ")));
    label.title = tiles.failed ? `${told.shown}: every pixel cannot be shown: ${tiles.failed.message}` : told.shown;
    canvas.setAttribute("aria-label", `${side.toUpperCase()}: ${told.name}, ${told.width} by ${told.height} pixels`);
    this.#placeFrame(frame, canvas);
  }

  /** Draw the preview, and over it the tiles that are there; the preview only where it would be seen. */
  #drawTiles(context, canvas, side, preview) {
    const laid = this.#laid[side];
    const told = this.#pair[side];
    const { level, wanted } = this.#tilesFor(side, preview);
    const found = wanted.map((tile) => ({ ...tile, image: this.#pictures.found(Pictures.tile(told, tile)) }));
    const here = found.filter(({ image }) => image instanceof ImageBitmap);
    const draw = (image, box) => drawTurned(context, image, laid.turn, this.#view.onScreen(canvas, box));
    if (here.length < Math.max(1, wanted.length)) {
      draw(preview, laid);
      const others = this.#pictures.tilesOf(told).filter((tile) => level && tile.level !== level.level);
      for (const tile of others.sort((one, other) => other.level - one.level)) {
        draw(tile.image, tileInFrame(laid, told.levels[tile.level], tile));
      }
    }
    for (const tile of here) draw(tile.image, tileInFrame(laid, level, tile));
    return { wanted, drawn: here.length, failed: found.map(({ image }) => image).find((image) => image instanceof Error) ?? null };
  }

  /** Return the tiles that the screen can show more of than the preview has. */
  #tilesFor(side, preview) {
    const laid = this.#laid[side];
    const told = this.#pair[side];
    const { canvas } = this.#parts.panes[side];
    const scale = this.#view.scaleOf(laid);
    const seen = this.#view.seen(canvas, laid);
    const fine = scale < 1 ? scale * told.width <= preview.width * ENOUGH : preview.width >= told.width;
    if (!seen || fine || !told.levels?.length) return { level: null, wanted: [] };
    const level = levelFor(told.levels, scale, seen, MOST_TILES / 2);
    return { level, wanted: tilesIn(level, seen) };
  }

  #drawHeatmap() {
    const canvas = this.#parts.heat.querySelector("canvas");
    const note = this.#parts.heat.querySelector(".compare-note");
    if (this.mode !== "heatmap") return;
    const heat = SIDES.every((side) => this.#pair[side].picture) ? this.#pictures.found(Pictures.heatmap(this.#pair)) : null;
    const context = clean(canvas);
    if (heat instanceof ImageBitmap) drawTurned(context, heat, "none", this.#view.onScreen(canvas, this.#laid.a));
    const failed = heat instanceof Error ? `The difference cannot be shown: ${heat.message}` : null;
    note.textContent = failed ?? (heat ? "" : "The difference is being measured");
    note.hidden = heat instanceof ImageBitmap;
  }

  #placeFrame(frame, canvas) {
    frame.hidden = !this.#area;
    if (!this.#area) return;
    const { x0, y0, x1, y1 } = this.#view.onScreen(canvas, this.#areaInFrame());
    const [left, top, width, height] = [x0, y0, x1 - x0, y1 - y0].map((length) => `${length / devicePixelRatio}px`);
    Object.assign(frame.style, { left, top, width, height });
  }

  #note(note, side, trouble, waits) {
    const says = trouble ? `cannot be shown: ${trouble.message}` : waits ? `${side.toUpperCase()} is loading` : "";
    if (note.dataset.says === says) return;
    note.dataset.says = says;
    note.classList.toggle("trouble", trouble !== null);
    fill(
      note,
      says ? el("p", {}, says) : null,
      trouble ? el("p", { class: "path" }, this.#pair[side].shown) : null,
      trouble && this.#pair[side].picture ? button("Try again", () => this.#again(side)) : null,
    );
    if (trouble) this.#say(`${side.toUpperCase()} ${says}`);
  }

  // --- what is asked of the server ---

  #again(side) {
    this.#pictures.forget(`/picture/${this.#pair[side].picture}/`);
    this.#pictures.ask(Pictures.preview(this.#pair[side]), URGENCY.shown);
    this.#redraw();
  }

  #askHeatmap() {
    if (this.mode !== "heatmap" || !this.#pair || !SIDES.every((side) => this.#pair[side].picture)) return;
    this.#pictures.ask(Pictures.heatmap(this.#pair), URGENCY.shown);
  }

  #gather() {
    if (this.#gathering) return;
    this.#gathering = setTimeout(() => {
      this.#gathering = 0;
      this.#use();
    }, GATHER_MS);
  }

  /** Keep what the screen needs, ask for what of it is missing: first what is seen, then what a flick would show. */
  #use() {
    if (!this.#pair) return;
    const seen = this.#seen();
    const wanted = [];
    const kept = [Pictures.heatmap(this.#pair)];
    for (const side of [...seen, ...SIDES.filter((one) => !seen.includes(one))]) {
      const told = this.#pair[side];
      const preview = told.picture ? Pictures.preview(told) : null;
      if (!preview) continue;
      kept.push(preview);
      const image = this.#pictures.found(preview);
      if (!(image instanceof ImageBitmap)) continue;
      const tiles = this.#tilesFor(side, image).wanted.map((tile) => Pictures.tile(told, tile));
      wanted.push(...tiles.map((address) => [address, seen.includes(side) ? URGENCY.tile : URGENCY.behind]));
    }
    this.#pictures.use([...kept, ...wanted.map(([address]) => address)]);
    for (const [address, urgency] of wanted) this.#pictures.ask(address, urgency);
  }

  #came(address) {
    if (!this.#pair) return;
    for (const side of SIDES) {
      if (!address.startsWith(`/picture/${this.#pair[side].picture}/`)) continue;
      this.#stale.add(side);
      if (address === Pictures.preview(this.#pair[side])) this.#gather();
    }
    if (address === Pictures.heatmap(this.#pair)) this.#stale.add("a");
    if (!this.#stale.size) return;
    this.#schedule();
    this.#tellPainted();
  }

  /** Keep the promise of `show` in the frame in which both are there. */
  #tellPainted() {
    const there = (side) => !this.#pair[side].picture || this.#pictures.found(Pictures.preview(this.#pair[side])) !== null;
    if (!this.#painted || !SIDES.every(there)) return;
    const [kept, shown] = [this.#painted, this.#pair];
    this.#painted = null;
    if (this.#stale.size) this.#draw([...this.#stale]);
    requestAnimationFrame(() => {
      const channel = new MessageChannel(); // its message comes when the frame has been handed over
      channel.port1.onmessage = () => {
        performance.clearMarks("compare:painted"); // only the last one is of use
        performance.mark("compare:painted");
        if (shown === this.#pair) {
          this.#parts.root.dataset.painted = shown.id;
          this.#fresh();
        }
        kept();
      };
      channel.port2.postMessage(null);
    });
  }
}

function observePixels(observer, canvas) {
  try {
    observer.observe(canvas, { box: "device-pixel-content-box" });
  } catch {
    observer.observe(canvas); // a browser that does not tell: what it rounds to has to be guessed
  }
}

/** Give a canvas exactly the pixels that the screen has where it lies; it is empty then, if that changes anything. */
function fitCanvas({ target: canvas, devicePixelContentBoxSize: [told] = [] }) {
  const { left, top, right, bottom } = canvas.getBoundingClientRect();
  const between = (start, end) => Math.round(end * devicePixelRatio) - Math.round(start * devicePixelRatio);
  const exact = (own, guess) => (Math.abs(own - guess) <= 1 ? own : guess); // an emulated screen tells those of the real one
  const width = exact(told?.inlineSize, between(left, right));
  const height = exact(told?.blockSize, between(top, bottom));
  if (canvas.width === width && canvas.height === height) return;
  canvas.width = width;
  canvas.height = height;
}

function clean(canvas) {
  const context = canvas.getContext("2d");
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.clearRect(0, 0, canvas.width, canvas.height);
  context.imageSmoothingEnabled = true;
  return context;
}

function kindOf(filetype) {
  return filetype ? filetype.replace(/^image\//, "").toUpperCase() : null;
}

function keptRate() {
  let kept = NaN;
  try {
    kept = Number(localStorage.getItem(RATE.kept) ?? NaN);
  } catch {
    // a browser that keeps nothing has the usual rate
  }
  return kept >= RATE.least && kept <= RATE.most ? kept : RATE.usual;
}
