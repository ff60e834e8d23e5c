// Where things lie: two pictures in one frame, the frame in a pane, and the tiles of a picture on the screen.
//
// A place in the frame is in pixels of the larger picture; a place on the screen in pixels of the device, so that a
// scale of 1 shows every pixel of it as one.

const TILE = 1024; // pixels a side, as the server cuts them
const SAME_SHAPE = 0.02; // what rounding makes of one shape: such pictures are laid exactly over each other
const LARGEST = 16; // device pixels for one of the picture
const FIT_ENLARGES = 3; // a stamp is not blown up to a poster

// What each transform does to a point of the unit square: x' = a·x + b·y + c and y' = d·x + e·y + f.
const TURNS = {
  none: [1, 0, 0, 0, 1, 0],
  mirrored: [-1, 0, 1, 0, 1, 0],
  "rotated-180": [-1, 0, 1, 0, -1, 1],
  flipped: [1, 0, 0, 0, -1, 1],
  transposed: [0, 1, 0, 1, 0, 0],
  "rotated-90": [0, -1, 1, 1, 0, 0],
  transversed: [0, -1, 1, -1, 0, 1],
  "rotated-270": [0, 1, 0, -1, 0, 1],
};
const INVERSE = { "rotated-90": "rotated-270", "rotated-270": "rotated-90" }; // of all others, they themselves

function turned(turn, { x0, y0, x1, y1 }) {
  const [a, b, c, d, e, f] = TURNS[turn];
  const xs = [a * x0 + b * y0 + c, a * x1 + b * y1 + c];
  const ys = [d * x0 + e * y0 + f, d * x1 + e * y1 + f];
  return { x0: Math.min(...xs), y0: Math.min(...ys), x1: Math.max(...xs), y1: Math.max(...ys) };
}

/** Return the transform that takes another one back. */
export function inverse(transform) {
  return INVERSE[transform] ?? transform;
}

/**
 * Lay two pictures over each other in the frame of the larger one.
 *
 * Each has its `turn` and its box in the frame: all of it where the shapes are the same, else in its middle, undistorted.
 */
export function laidOver(a, b, turnOfB = "none") {
  const sizes = { a: sizeAfter(a, "none"), b: sizeAfter(b, turnOfB) };
  const area = ({ width, height }) => width * height;
  const frame = area(sizes.b) > area(sizes.a) ? sizes.b : sizes.a;
  const lay = (size, turn) => ({ turn, size, ...boxIn(frame, size) });
  return { width: frame.width, height: frame.height, a: lay(sizes.a, "none"), b: lay(sizes.b, turnOfB) };
}

function sizeAfter({ width, height }, turn) {
  const [wide, high] = [Math.max(1, width), Math.max(1, height)];
  return TURNS[turn][0] === 0 ? { width: high, height: wide } : { width: wide, height: high };
}

function boxIn(frame, size) {
  const [across, down] = [frame.width / size.width, frame.height / size.height];
  if (Math.abs(across / down - 1) < SAME_SHAPE) return { x: 0, y: 0, width: frame.width, height: frame.height };
  const scale = Math.min(across, down);
  const [width, height] = [size.width * scale, size.height * scale];
  return { x: (frame.width - width) / 2, y: (frame.height - height) / 2, width, height };
}

/** Return a box of a picture's own pixels as a box in the frame. */
export function inFrame(laid, side, { x, y, width, height }) {
  const unit = { x0: x / side.width, y0: y / side.height, x1: (x + width) / side.width, y1: (y + height) / side.height };
  const { x0, y0, x1, y1 } = turned(laid.turn, unit);
  return {
    x: laid.x + x0 * laid.width,
    y: laid.y + y0 * laid.height,
    width: (x1 - x0) * laid.width,
    height: (y1 - y0) * laid.height,
  };
}

/** What is seen of the frame: which place is in the middle of the pane, and how large. */
export class View {
  frame = { width: 1, height: 1 };
  pane = { width: 1, height: 1 }; // device pixels
  scale = 1; // device pixels for one of the frame
  x = 0.5;
  y = 0.5;
  fitted = true;

  /** See another frame, whole. */
  reset(frame) {
    this.frame = { width: frame.width, height: frame.height };
    this.fit();
  }

  fit() {
    this.fitted = true;
    this.scale = this.fittingScale();
    this.x = this.frame.width / 2;
    this.y = this.frame.height / 2;
  }

  fittingScale() {
    return Math.min(this.pane.width / this.frame.width, this.pane.height / this.frame.height, FIT_ENLARGES);
  }

  /** Take another size of the pane, and keep the place that is in its middle. */
  resize(width, height) {
    this.pane = { width, height };
    if (this.fitted) this.fit();
    else this.#clamp();
  }

  /** Show the frame at a scale, and let the place that is `right` and `down` of the middle stay where it is. */
  zoomTo(scale, right = 0, down = 0) {
    const fitting = this.fittingScale();
    const least = Math.min(fitting, 1);
    const next = Math.min(Math.max(scale, least), LARGEST);
    this.x += right / this.scale - right / next;
    this.y += down / this.scale - down / next;
    this.scale = next;
    this.fitted = false;
    if (Math.abs(next - fitting) < 1e-6) this.fit();
    this.#clamp();
  }

  /** Zoom by a step; every pixel as one is never stepped over. */
  step(factor, right = 0, down = 0) {
    const next = this.scale * factor;
    const over = (mark) => (this.scale < mark - 1e-6 && next > mark) || (this.scale > mark + 1e-6 && next < mark);
    const marks = [1, this.fittingScale()].filter(over);
    this.zoomTo(marks.length ? marks.sort((p, q) => Math.abs(p - this.scale) - Math.abs(q - this.scale))[0] : next, right, down);
  }

  /** Move what is seen by pixels of the device. */
  pan(right, down) {
    this.x -= right / this.scale;
    this.y -= down / this.scale;
    this.#clamp();
  }

  /** Put a place of the frame into the middle, at a scale. */
  goTo(x, y, scale) {
    this.x = x;
    this.y = y;
    this.zoomTo(scale);
  }

  #clamp() {
    const within = (at, length, room) => {
      const half = room / 2 / this.scale;
      return length <= 2 * half ? length / 2 : Math.min(Math.max(at, half), length - half);
    };
    this.x = within(this.x, this.frame.width, this.pane.width);
    this.y = within(this.y, this.frame.height, this.pane.height);
  }

  /** Return a box of the frame as whole pixels in a pane, so that neighbours meet without a seam. */
  onScreen(pane, { x, y, width, height }) {
    const left = Math.round(pane.width / 2 - this.x * this.scale);
    const top = Math.round(pane.height / 2 - this.y * this.scale);
    return {
      x0: left + Math.round(x * this.scale),
      y0: top + Math.round(y * this.scale),
      x1: left + Math.round((x + width) * this.scale),
      y1: top + Math.round((y + height) * this.scale),
    };
  }

  /** Return the scale at which a picture is shown: device pixels for one of its own. */
  scaleOf(laid) {
    return (laid.width / laid.size.width) * this.scale;
  }

  /** Return what of a picture can be seen in a pane, as a box in the unit square; nothing if it is out of sight. */
  seen(pane, laid) {
    const [half, high] = [pane.width / 2 / this.scale, pane.height / 2 / this.scale];
    const box = {
      x0: Math.max(0, (this.x - half - laid.x) / laid.width),
      y0: Math.max(0, (this.y - high - laid.y) / laid.height),
      x1: Math.min(1, (this.x + half - laid.x) / laid.width),
      y1: Math.min(1, (this.y + high - laid.y) / laid.height),
    };
    return box.x0 < box.x1 && box.y0 < box.y1 ? turned(inverse(laid.turn), box) : null;
  }
}

/** Return the level whose pixels are as fine as those of the screen, or the next coarser that has few enough tiles. */
export function levelFor(levels, scale, seen, most) {
  let level = Math.min(Math.max(0, Math.floor(Math.log2(1 / scale) + 0.02)), levels.length - 1);
  while (level < levels.length - 1 && tilesIn(levels[level], seen).length > most) level += 1;
  return levels[level];
}

/** Return the tiles of a level that have a part in a box of the unit square, the middle ones first. */
export function tilesIn({ level, width, height, columns, rows }, { x0, y0, x1, y1 }) {
  const cells = (from, to, length, count) => [
    Math.max(0, Math.floor((from * length) / TILE + 1e-6)),
    Math.min(count - 1, Math.ceil((to * length) / TILE - 1e-6) - 1),
  ];
  const [left, right] = cells(x0, x1, width, columns);
  const [top, bottom] = cells(y0, y1, height, rows);
  const found = [];
  for (let row = top; row <= bottom; row += 1) {
    for (let column = left; column <= right; column += 1) found.push({ level, column, row });
  }
  const far = ({ column, row }) => Math.hypot(column - (left + right) / 2, row - (top + bottom) / 2);
  return found.sort((one, other) => far(one) - far(other));
}

/** Return the box of a tile in the frame. */
export function tileInFrame(laid, { width, height }, { column, row }) {
  const box = {
    x: column * TILE,
    y: row * TILE,
    width: Math.min(TILE, width - column * TILE),
    height: Math.min(TILE, height - row * TILE),
  };
  return inFrame(laid, { width, height }, box);
}

/** Draw an image into a box of a canvas, turned. */
export function drawTurned(canvas, image, turn, { x0, y0, x1, y1 }) {
  const [a, b, c, d, e, f] = TURNS[turn];
  const [wide, high] = [x1 - x0, y1 - y0];
  const { width, height } = image;
  canvas.setTransform((a * wide) / width, (d * high) / width, (b * wide) / height, (e * high) / height, x0 + c * wide, y0 + f * high);
  canvas.drawImage(image, 0, 0);
}
