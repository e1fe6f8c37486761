// Where a picture lies in its window: plain geometry, no page.

const MOST_ZOOM = 64;
const STOPS = [0.05, 0.1, 0.25, 1 / 3, 0.5, 2 / 3, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64];

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

/**
 * `scale` is in CSS pixels per pixel of the picture; `x` and `y` are where its corner lies.
 * `zoom` counts pixels of the screen: at 1 one pixel of the picture is one of the screen.
 */
export class View {
  picture = { width: 0, height: 0 };
  window = { width: 0, height: 0 };
  ratio = 1; // pixels of the screen per CSS pixel
  scale = 1;
  x = 0;
  y = 0;
  isFitted = true;

  get zoom() {
    return this.scale * this.ratio;
  }

  get #fitScale() {
    const { picture, window } = this;
    return Math.min(window.width / picture.width, window.height / picture.height);
  }

  fit() {
    this.scale = Math.min(this.#fitScale, MOST_ZOOM / this.ratio) || 1;
    this.isFitted = true;
    this.#settle();
  }

  /** Zooms to a value and leaves the point of the window where it is; its middle unless told. */
  zoomTo(zoom, at = { x: this.window.width / 2, y: this.window.height / 2 }) {
    const least = Math.min(this.#fitScale, 1 / this.ratio);
    const scale = clamp(zoom / this.ratio, least, MOST_ZOOM / this.ratio);
    this.x = at.x - ((at.x - this.x) * scale) / this.scale;
    this.y = at.y - ((at.y - this.y) * scale) / this.scale;
    this.scale = scale;
    this.isFitted = false;
    this.#settle();
  }

  /** Zooms to the next round value. */
  step(inwards) {
    const near = 1.001;
    const next = inwards
      ? STOPS.find((stop) => stop > this.zoom * near)
      : STOPS.findLast((stop) => stop * near < this.zoom);
    this.zoomTo(next ?? (inwards ? MOST_ZOOM : 0));
  }

  pan(dx, dy) {
    this.x += dx;
    this.y += dy;
    this.#settle();
  }

  /** Takes a new size of the window or of the picture, and keeps what is in the middle there. */
  resize(window, picture = this.picture, ratio = window.ratio ?? this.ratio) {
    const zoom = this.zoom;
    const middle = {
      x: (this.window.width / 2 - this.x) / (this.picture.width * this.scale),
      y: (this.window.height / 2 - this.y) / (this.picture.height * this.scale),
    };
    Object.assign(this, { window, picture, ratio });
    if (this.isFitted) return this.fit();
    this.scale = zoom / ratio;
    this.x = window.width / 2 - middle.x * picture.width * this.scale;
    this.y = window.height / 2 - middle.y * picture.height * this.scale;
    return this.#settle();
  }

  /** The edges of the picture's visible part in the window, in CSS pixels. */
  get edges() {
    const { picture, window, scale, x, y } = this;
    return {
      left: clamp(x, 0, window.width),
      right: clamp(x + picture.width * scale, 0, window.width),
      top: clamp(y, 0, window.height),
      bottom: clamp(y + picture.height * scale, 0, window.height),
    };
  }

  /** The visible part in pixels of the picture. */
  get visible() {
    const { left, right, top, bottom } = this.edges;
    const { scale } = this;
    return {
      x: (left - this.x) / scale,
      y: (top - this.y) / scale,
      width: (right - left) / scale,
      height: (bottom - top) / scale,
    };
  }

  /** A picture smaller than the window lies in its middle; a larger one leaves no gap. */
  #settle() {
    const place = (at, size, room) =>
      size <= room ? (room - size) / 2 : clamp(at, room - size, 0);
    this.x = place(this.x, this.picture.width * this.scale, this.window.width);
    this.y = place(this.y, this.picture.height * this.scale, this.window.height);
  }
}
