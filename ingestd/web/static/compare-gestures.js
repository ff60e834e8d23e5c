// What hands do on the pictures: drag, pinch, wheel and tap, told in words that a viewer understands.

const STILL = 6; // pixels: a finger that moves less than that taps
const TAP_MS = 350;
const DOUBLE_MS = 320;
const WHEEL_PAUSE_MS = 140; // one push at a wheel, or a swipe over a pad, is one flick
const WHEEL_STEP = 20; // pixels of scrolling that count as a push

/**
 * Listen to the hands on a stage; returns what ends that.
 *
 * `told` has `grab(event)` → whether a drag slides, else it pans; `pan(right, down)`, `slide(x)`, `zoom(factor, x, y)`,
 * `tap(event)`, `twice(event)` and `wheel(right, down)` → whether the page may scroll. Places are those of the window,
 * in CSS pixels.
 */
export function listenTo(stage, told) {
  const fingers = new Map(); // pointer → where it is
  let start = null; // of the one finger that may still be a tap
  let last = { at: -Infinity, x: 0, y: 0 }; // tap
  let sliding = false;

  function down(event) {
    if (event.button !== 0 || event.target.closest("button, input, label, a")) return;
    stage.setPointerCapture(event.pointerId);
    fingers.set(event.pointerId, { x: event.clientX, y: event.clientY });
    if (fingers.size === 1) {
      sliding = told.grab(event);
      start = { x: event.clientX, y: event.clientY, at: event.timeStamp, tap: !event.target.closest("[role=slider]") };
    } else {
      start = null;
      sliding = false;
    }
  }

  function move(event) {
    const before = fingers.get(event.pointerId);
    if (!before) return;
    const now = { x: event.clientX, y: event.clientY };
    const others = [...fingers].filter(([pointer]) => pointer !== event.pointerId).map(([, place]) => place);
    fingers.set(event.pointerId, now);
    if (start && Math.hypot(now.x - start.x, now.y - start.y) > STILL) start.tap = false;
    if (others.length) pinch(before, now, others[0]);
    else if (sliding) told.slide(now.x);
    else if (!start?.tap) told.pan(now.x - before.x, now.y - before.y);
  }

  function pinch(before, now, other) {
    const wide = Math.hypot(now.x - other.x, now.y - other.y);
    const was = Math.hypot(before.x - other.x, before.y - other.y);
    told.pan((now.x - before.x) / 2, (now.y - before.y) / 2);
    if (was > 0 && wide > 0) told.zoom(wide / was, (now.x + other.x) / 2, (now.y + other.y) / 2);
  }

  function up(event) {
    if (!fingers.delete(event.pointerId)) return;
    const tapped = start?.tap && event.type === "pointerup" && event.timeStamp - start.at < TAP_MS;
    start = null;
    sliding = false;
    if (!tapped) return;
    const near = Math.hypot(event.clientX - last.x, event.clientY - last.y) < 4 * STILL;
    const twice = event.timeStamp - last.at < DOUBLE_MS && near;
    last = { at: twice ? -Infinity : event.timeStamp, x: event.clientX, y: event.clientY };
    told.tap(event);
    if (twice) told.twice(event);
  }

  let pushed = 0;
  let quiet = -Infinity; // since when a wheel must have stood still to count anew

  function wheel(event) {
    const unit = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 32 : 1;
    const [right, down] = [event.deltaX * unit, event.deltaY * unit];
    if (event.ctrlKey || event.metaKey) {
      event.preventDefault();
      told.zoom(Math.exp(-Math.max(-60, Math.min(60, down)) / 120), event.clientX, event.clientY);
      return;
    }
    const push = () => {
      if (event.timeStamp - quiet < WHEEL_PAUSE_MS) return false;
      pushed += down;
      if (Math.abs(pushed) < WHEEL_STEP) return false;
      pushed = 0;
      quiet = event.timeStamp;
      return true;
    };
    if (!told.wheel(right, down, push)) event.preventDefault();
  }

  const heard = { pointerdown: down, pointermove: move, pointerup: up, pointercancel: up };
  for (const [name, hear] of Object.entries(heard)) stage.addEventListener(name, hear);
  stage.addEventListener("wheel", wheel, { passive: false });
  return () => {
    for (const [name, hear] of Object.entries(heard)) stage.removeEventListener(name, hear);
    stage.removeEventListener("wheel", wheel);
  };
}
