// The picture: before and after in one place, with a divider between them.

import { View } from "./view.js";

const SHARP_FROM = 2; // zoom above which single pixels are shown as squares
const WHEEL = 0.0015;
const PINCH = 0.01; // a trackpad's pinch comes as a wheel of small steps
const LINES = 16; // CSS pixels of a wheel step that is told in lines

const element = (id) => document.getElementById(id);

/** Dispatches "view" when what is visible has changed, and "unshown" if before can't be shown. */
export class Viewer extends EventTarget {
  #view = new View();
  #shown = {}; // what `show` was told last
  #divider = 0.5;
  #holding = false;
  #pointers = new Map();

  constructor() {
    super();
    this.stage = element("stage");
    this.before = element("before");
    this.after = element("after");
    this.preview = element("preview");
    new ResizeObserver(() => this.#resized()).observe(this.stage);
    this.before.addEventListener("load", () => this.#loaded());
    this.after.addEventListener("load", () => this.#loaded());
    this.preview.addEventListener("load", () => this.#draw());
    this.before.addEventListener("error", () => this.#emit("unshown"));
    this.#listen();
  }

  /**
   * Shows a photo. `key` tells photos apart; `before`, `after` and `preview` are addresses or null;
   * `box` is where the preview lies in the photo before; `enlarge` is how much larger after is.
   */
  show(shown) {
    const isOther = shown.key !== this.#shown.key;
    this.#shown = shown;
    if (isOther) this.#view.isFitted = true;
    setSource(this.before, shown.before);
    setSource(this.after, shown.after);
    setSource(this.preview, shown.after ? null : shown.preview);
    this.#resized();
  }

  /** The visible part of the photo before, in its pixels; null if there is none. */
  get visible() {
    if (!isThere(this.before)) return null;
    const { x, y, width, height } = this.#view.visible;
    const { naturalWidth, naturalHeight } = this.before;
    const ratio = naturalWidth / this.#view.picture.width;
    const left = Math.floor(x * ratio);
    const top = Math.floor(y * ratio);
    return {
      x: left,
      y: top,
      width: Math.min(Math.ceil((x + width) * ratio), naturalWidth) - left,
      height: Math.min(Math.ceil((y + height) * ratio), naturalHeight) - top,
    };
  }

  /** The visible part in shares of the picture's width and height. */
  get visibleShare() {
    const { x, y, width, height } = this.#view.visible;
    const { picture } = this.#view;
    return {
      x: x / picture.width,
      y: y / picture.height,
      width: width / picture.width,
      height: height / picture.height,
    };
  }

  fit() {
    this.#view.fit();
    this.#draw();
  }

  full(at) {
    this.#view.zoomTo(1, at);
    this.#draw();
  }

  step(inwards) {
    this.#view.step(inwards);
    this.#draw();
  }

  pan(dx, dy) {
    this.#view.pan(dx, dy);
    this.#draw();
  }

  /** Where the divider stands, from 0 (left, all after) to 1 (right, all before). */
  get divider() {
    return this.#divider;
  }

  set divider(share) {
    this.#divider = Math.min(Math.max(share, 0), 1);
    this.#draw();
  }

  /** While true, the picture before is seen alone. */
  set holding(is) {
    this.#holding = is;
    this.#draw();
  }

  get #ratio() {
    return window.devicePixelRatio || 1;
  }

  #resized() {
    const { clientWidth: width, clientHeight: height } = this.stage;
    if (!width) return;
    this.#view.resize({ width, height }, this.#size(), this.#ratio);
    this.#draw();
  }

  /** The size of the picture after, or what it will be. */
  #size() {
    const { after, before } = this;
    if (isThere(after)) return { width: after.naturalWidth, height: after.naturalHeight };
    const { enlarge = 1 } = this.#shown;
    const known = isThere(before)
      ? { width: before.naturalWidth, height: before.naturalHeight }
      : (this.#shown.size ?? { width: 1, height: 1 });
    return { width: known.width * enlarge, height: known.height * enlarge };
  }

  #loaded() {
    this.#resized();
    this.#emit("loaded");
  }

  #draw() {
    const { scale, zoom, picture } = this.#view;
    // On whole pixels of the screen, so that at 100 % nothing is blended.
    const whole = (at) => Math.round(at * this.#ratio) / this.#ratio;
    const [x, y] = [whole(this.#view.x), whole(this.#view.y)];
    const layers = element("layers").style;
    layers.width = `${picture.width}px`;
    layers.height = `${picture.height}px`;
    layers.transform = `translate(${x}px, ${y}px) scale(${scale})`;
    layers.setProperty("--hair", `${1 / scale}px`);
    this.stage.classList.toggle("pixels", zoom > SHARP_FROM);
    this.stage.classList.toggle("fitted", this.#view.isFitted);
    this.#drawPreview();
    this.#drawDivider();
    element("zoom").textContent = `${percent(zoom)} %`;
    this.#emit("view");
  }

  #drawPreview() {
    const { box, enlarge = 1 } = this.#shown;
    const is = isThere(this.preview) && Boolean(box);
    this.preview.hidden = !is;
    this.after.hidden = !isThere(this.after);
    this.before.hidden = !isThere(this.before);
    if (!is) return;
    const { style } = this.preview;
    style.left = `${box.x * enlarge}px`;
    style.top = `${box.y * enlarge}px`;
    style.width = `${box.width * enlarge}px`;
    style.height = `${box.height * enlarge}px`;
  }

  #drawDivider() {
    const { left, right, top, bottom } = this.#view.edges;
    const { scale, x, picture } = this.#view;
    const compared = isThere(this.before) && !(this.after.hidden && this.preview.hidden);
    const at = left + this.#divider * (right - left);
    const cut = this.#holding ? picture.width : (at - x) / scale;
    element("restored").style.clipPath = compared ? `inset(0 0 0 ${cut}px)` : "none";
    // Before would shine through where after is transparent.
    const covered = compared && !this.after.hidden;
    this.before.style.clipPath = covered ? `inset(0 ${picture.width - cut}px 0 0)` : "none";
    const handle = element("handle");
    handle.hidden = !compared || this.#holding;
    handle.style.transform = `translate(${at}px, ${top}px)`;
    handle.style.height = `${bottom - top}px`;
    const isCovered = compared && this.#divider < 0.02 && !this.#holding;
    element("label-before").hidden = !isThere(this.before) || isCovered;
    element("label-after").hidden = !compared || this.#holding || this.#divider > 0.98;
    const range = element("divider");
    range.disabled = !compared;
    element("divide-label").classList.toggle("off", !compared);
    range.value = 100 * this.#divider;
    range.setAttribute("aria-valuetext", `${Math.round(100 * this.#divider)} % before`);
  }

  #listen() {
    const { stage } = this;
    stage.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    stage.addEventListener("pointerdown", (event) => this.#down(event));
    stage.addEventListener("pointermove", (event) => this.#move(event));
    for (const end of ["pointerup", "pointercancel"]) {
      stage.addEventListener(end, (event) => this.#pointers.delete(event.pointerId));
    }
    stage.addEventListener("dblclick", (event) => {
      if (event.target.id === "handle") return;
      if (this.#view.isFitted) this.full(this.#at(event));
      else this.fit();
    });
    element("divider").addEventListener("input", (event) => {
      this.divider = event.target.value / 100;
    });
  }

  #at(event) {
    const { left, top } = this.stage.getBoundingClientRect();
    return { x: event.clientX - left, y: event.clientY - top };
  }

  #wheel(event) {
    event.preventDefault();
    const unit = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? LINES : 1;
    const steps = unit * event.deltaY;
    const speed = event.ctrlKey ? PINCH : WHEEL;
    this.#view.zoomTo(this.#view.zoom * Math.exp(-steps * speed), this.#at(event));
    this.#draw();
  }

  #down(event) {
    if (event.button !== 0) return;
    this.stage.setPointerCapture(event.pointerId);
    const grip = event.target.id === "handle";
    this.#pointers.set(event.pointerId, { ...this.#at(event), grip });
  }

  #move(event) {
    const from = this.#pointers.get(event.pointerId);
    if (!from) return;
    const to = this.#at(event);
    if (from.grip) {
      const { left, right } = this.#view.edges;
      this.divider = (to.x - left) / (right - left);
      return;
    }
    const other = [...this.#pointers.values()].find((each) => each !== from && !each.grip);
    if (other) {
      const grown = distance(to, other) / Math.max(distance(from, other), 1);
      this.#view.zoomTo(this.#view.zoom * grown, middle(from, other));
      this.#view.pan((to.x - from.x) / 2, (to.y - from.y) / 2);
    } else {
      this.#view.pan(to.x - from.x, to.y - from.y);
    }
    Object.assign(from, to);
    this.#draw();
  }

  #emit(name) {
    this.dispatchEvent(new Event(name));
  }
}

const isThere = (image) => image.complete && image.naturalWidth > 0 && image.hasAttribute("src");

function setSource(image, address) {
  const hasFailed = image.complete && !image.naturalWidth; // asked for again
  if (!address) image.removeAttribute("src");
  else if (image.getAttribute("src") !== address || hasFailed) image.src = address;
}

const distance = (a, b) => Math.hypot(a.x - b.x, a.y - b.y);

const middle = (a, b) => ({ x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 });

function percent(zoom) {
  return zoom < 0.1 ? (100 * zoom).toPrecision(2) : Math.round(100 * zoom);
}
