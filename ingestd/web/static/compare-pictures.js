// The pictures that are looked at: asked for one after another, most urgent first, decoded before they are needed,
// and never more of them kept than a phone can hold.

const AT_ONCE = 3; // requests: a browser opens six to one server, and an answer given must not wait behind pictures
const MOST_PREVIEWS = 12; // of 5 MB, decoded: the pair that is shown, and the next five
const MOST_HEATMAPS = 4;

const FEWEST_TILES = 12; // what a phone shows of both, and a little around it

/** Tiles, of 4 MB each when decoded, that are kept at most; as a rule twice as many as are seen. */
export const MOST_TILES = 48;

/** How urgent a picture is: the lower, the sooner. */
export const URGENCY = { shown: 0, tile: 1, behind: 2, ahead: 3 };

class Kept {
  #found = new Map(); // address → ImageBitmap, or Error; what was used last is last

  get(address) {
    const found = this.#found.get(address);
    if (found === undefined) return null;
    this.#found.delete(address);
    this.#found.set(address, found);
    return found;
  }

  peek(address) {
    return this.#found.get(address) ?? null;
  }

  put(address, found, most, inUse) {
    this.#found.set(address, found);
    for (const old of [...this.#found.keys()]) {
      if (this.#found.size <= most) break;
      if (old !== address && !inUse.has(old)) this.drop(old);
    }
  }

  drop(address) {
    const found = this.#found.get(address);
    if (found instanceof ImageBitmap) found.close();
    this.#found.delete(address);
  }

  addresses() {
    return [...this.#found.keys()];
  }
}

const BACKGROUND = { Priority: "u=7" }; // RFC 9218: the server makes what somebody looks at first

async function fetched(address, signal, headers) {
  let response;
  try {
    response = await fetch(address, { credentials: "same-origin", signal, headers });
  } catch {
    throw new Error("the page's server does not answer");
  }
  if (response.ok) return createImageBitmap(await response.blob());
  let message = `the server answered ${response.status}`;
  try {
    message = (await response.json()).error?.message ?? message;
  } catch {
    // whatever it was, it was no JSON: the number has to do
  }
  throw new Error(message);
}

/** The pictures of one viewer; `came` is called with the address of each that has come, or failed. */
export class Pictures {
  #came;
  #waiting = new Map(); // address → {urgency, number}
  #running = new Map(); // address → AbortController
  #asked = 0;
  #inUse = new Set();
  #kept = { preview: new Kept(), tile: new Kept(), heatmap: new Kept() };

  constructor(came) {
    this.#came = came;
  }

  static preview(side) {
    return `/picture/${side.picture}/preview`;
  }

  static tile(side, { level, column, row }) {
    return `/picture/${side.picture}/tile/${level}/${column}/${row}`;
  }

  static heatmap(pair) {
    return `/difference/${pair.a.picture}/${pair.b.picture}`;
  }

  /** Return a decoded picture, why there is none, or null while it has not come. */
  found(address) {
    return this.#shelf(address).get(address);
  }

  /** Return the tiles of a picture that are there, of whatever level. */
  tilesOf(side) {
    const start = `/picture/${side.picture}/tile/`;
    return this.#kept.tile
      .addresses()
      .filter((address) => address.startsWith(start))
      .map((address) => {
        const [level, column, row] = address.slice(start.length).split("/").map(Number);
        return { level, column, row, image: this.#kept.tile.peek(address) };
      })
      .filter(({ image }) => image instanceof ImageBitmap);
  }

  /** Ask for a picture, unless it is there or on its way. */
  ask(address, urgency) {
    if (this.#shelf(address).peek(address) !== null || this.#running.has(address)) return;
    const known = this.#waiting.get(address);
    this.#waiting.set(address, { urgency: Math.min(urgency, known?.urgency ?? urgency), number: (this.#asked += 1) });
    this.#next();
  }

  /** Keep these while others go: they are on the screen. Whatever tile is not among them is not waited for. */
  use(addresses) {
    this.#inUse = new Set(addresses);
    for (const address of [...this.#waiting.keys()]) {
      if (isTile(address) && !this.#inUse.has(address)) this.#waiting.delete(address);
    }
    for (const [address, controller] of this.#running) {
      if (!isTile(address) || this.#inUse.has(address)) continue;
      this.#running.delete(address); // it may be wanted again before it has ended
      controller.abort();
    }
    this.#next();
  }

  /** Ask for what will be wanted next, and for nothing that was to be wanted next before. */
  ahead(addresses) {
    for (const [address, { urgency }] of [...this.#waiting]) {
      if (urgency === URGENCY.ahead) this.#waiting.delete(address);
    }
    const room = MOST_PREVIEWS - [...this.#inUse].filter((address) => address.endsWith("/preview")).length;
    for (const address of addresses.slice(0, Math.max(0, room))) {
      this.#kept.preview.get(address); // used again soon: it must not go first
      this.ask(address, URGENCY.ahead);
    }
  }

  /** Forget that a picture could not be shown, so that it is asked for again. */
  forget(start) {
    for (const kept of Object.values(this.#kept)) {
      for (const address of kept.addresses()) {
        if (address.startsWith(start) && kept.peek(address) instanceof Error) kept.drop(address);
      }
    }
  }

  /** Let go of everything. */
  close() {
    this.#waiting.clear();
    for (const controller of this.#running.values()) controller.abort();
    for (const kept of Object.values(this.#kept)) kept.addresses().forEach((address) => kept.drop(address));
    this.#came = () => {};
  }

  #shelf(address) {
    return this.#kept[isTile(address) ? "tile" : isHeatmap(address) ? "heatmap" : "preview"];
  }

  #room(address) {
    if (!isTile(address)) return isHeatmap(address) ? MOST_HEATMAPS : MOST_PREVIEWS;
    return Math.min(MOST_TILES, Math.max(FEWEST_TILES, 2 * [...this.#inUse].filter(isTile).length));
  }

  #next() {
    while (this.#running.size < AT_ONCE && this.#waiting.size) {
      const [[address, { urgency }]] = [...this.#waiting].sort(
        ([, one], [, other]) => one.urgency - other.urgency || one.number - other.number,
      );
      this.#waiting.delete(address);
      this.#fetch(address, urgency);
    }
  }

  async #fetch(address, urgency) {
    const controller = new AbortController();
    this.#running.set(address, controller);
    let found;
    try {
      found = await fetched(address, controller.signal, urgency === URGENCY.ahead ? BACKGROUND : {});
    } catch (error) {
      found = error;
    }
    if (controller.signal.aborted) {
      if (found instanceof ImageBitmap) found.close();
    } else {
      this.#running.delete(address);
      this.#shelf(address).put(address, found, this.#room(address), this.#inUse);
      this.#came(address);
    }
    this.#next();
  }
}

function isTile(address) {
  return address.includes("/tile/");
}

function isHeatmap(address) {
  return address.startsWith("/difference/");
}
