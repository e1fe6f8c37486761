// How often each value occurs in the visible part of a picture.

const SAMPLES = { width: 320, height: 240 }; // the most that are looked at
// The luma of ITU-R BT.601, as the restoration takes it.
const LUMA = [0.299, 0.587, 0.114];
const LINES = ["red", "green", "blue"];

const scratch = document.createElement("canvas");

/** Counts 256 values of red, green, blue and luma in a share of an image; null if it is empty. */
export function count(image, share) {
  const box = {
    x: share.x * image.naturalWidth,
    y: share.y * image.naturalHeight,
    width: share.width * image.naturalWidth,
    height: share.height * image.naturalHeight,
  };
  if (!(box.width >= 1 && box.height >= 1)) return null;
  const data = sample(image, box);
  const counts = { red: bins(), green: bins(), blue: bins(), luma: bins(), total: 0 };
  for (let at = 0; at < data.length; at += 4) {
    if (data[at + 3] === 0) continue;
    counts.red[data[at]] += 1;
    counts.green[data[at + 1]] += 1;
    counts.blue[data[at + 2]] += 1;
    const luma = LUMA[0] * data[at] + LUMA[1] * data[at + 1] + LUMA[2] * data[at + 2];
    counts.luma[Math.round(luma)] += 1;
    counts.total += 1;
  }
  return counts.total ? counts : null;
}

const bins = () => new Float64Array(256);

function sample(image, box) {
  scratch.width = Math.min(SAMPLES.width, Math.ceil(box.width));
  scratch.height = Math.min(SAMPLES.height, Math.ceil(box.height));
  const context = scratch.getContext("2d", { willReadFrequently: true });
  // Pixels are picked, not blended: blending would take the noise out of the histogram.
  context.imageSmoothingEnabled = false;
  const { width, height } = scratch;
  context.drawImage(image, box.x, box.y, box.width, box.height, 0, 0, width, height);
  return context.getImageData(0, 0, width, height).data;
}

/** The highest count that both plots of a pair make room for; ends, often clipped, don't count. */
export function highest(all) {
  const most = (counts, name) => Math.max(...counts[name].subarray(1, 255)) / counts.total;
  const inner = all
    .filter(Boolean)
    .flatMap((counts) => [...LINES, "luma"].map((name) => most(counts, name)));
  return Math.max(...inner, 1e-6);
}

/** Draws a filled luma and a line per channel; `top` is the share that takes the full height. */
export function draw(canvas, counts, top) {
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.round(canvas.clientWidth * ratio);
  canvas.height = Math.round(canvas.clientHeight * ratio);
  if (!counts) return;
  const style = getComputedStyle(canvas);
  const context = canvas.getContext("2d");
  const trace = (values) => {
    const path = new Path2D();
    values.forEach((value, at) => {
      const height = Math.min(value / counts.total / top, 1) * (canvas.height - ratio);
      path.lineTo((at / 255) * canvas.width, canvas.height - height);
    });
    return path;
  };
  const filled = trace(counts.luma);
  filled.lineTo(canvas.width, canvas.height);
  filled.lineTo(0, canvas.height);
  context.fillStyle = style.getPropertyValue("--luma");
  context.fill(filled);
  context.lineWidth = ratio;
  for (const name of LINES) {
    context.strokeStyle = style.getPropertyValue(`--${name}`);
    context.stroke(trace(counts[name]));
  }
}

/** A histogram in words: its mean, and what is at black and at white. */
export function inWords(counts) {
  const mean = counts.luma.reduce((sum, value, at) => sum + value * at, 0) / counts.total / 255;
  const share = (value) => `${((100 * value) / counts.total).toFixed(1)} %`;
  const [black, white] = [share(counts.luma[0]), share(counts.luma[255])];
  return `mean ${(100 * mean).toFixed(0)} %, black ${black}, white ${white}`;
}
