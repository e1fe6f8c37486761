// The page: brings the parts together.

import * as api from "./api.js";
import { EntryList, progressOf } from "./entries.js";
import * as histogram from "./histogram.js";
import { intake } from "./intake.js";
import { listenToKeys } from "./keys.js";
import { Queue } from "./queue.js";
import { Settings, titled } from "./settings.js";
import { Viewer } from "./viewer.js";
import { pairViews } from "./views.js";

const HISTOGRAM_PAUSE_MS = 120;
const FIRST_WAIT_S = 3;
const MOST_NAMED = 3; // in one line

const element = (id) => document.getElementById(id);
const say = (line) => (element("said").textContent = line);

const queue = new Queue(say);
const settings = new Settings(element("form"), () => queue.regroup(group));
const viewer = new Viewer();
const list = new EntryList(element("entries"), element("entry"), act);
let selected = null;
let suffixes = [];
let address = null; // the object URL of the selected photo

intake(element("files"), document.querySelectorAll("[data-pick]"), add);
listenToKeys(viewer, element("keys"));
connect();

async function connect() {
  try {
    const known = await api.models();
    settings.fill(known);
    queue.limits = known.limits;
    suffixes = known.suffixes;
    element("files").accept = suffixes.join(",");
    element("formats").textContent = `${known.formats
      .filter((name) => name !== "keep")
      .map((name) => name.toUpperCase())
      .join(", ")}, HEIC and RAW, up to ${Math.floor(known.limits.pixels / 1e6)} megapixels`;
    element("device").textContent = `on ${known.device}`;
    say("");
    queue.refresh(true);
  } catch (fault) {
    say(fault.message);
    if (fault.status !== 401) setTimeout(connect, 1000 * FIRST_WAIT_S);
  }
}

function add(files, unread) {
  const photos = files.filter((file) => !file.inFolder || isPhoto(file));
  const lost = unread.length ? ` ${listed(unread)} can't be read.` : "";
  if (!photos.length) return say(lost.trim() || "There are no photos among these files.");
  const [first] = queue.add(group(photos));
  if (!selected || selected.state !== "ready") select(first);
  const added = photos.length === 1 ? `${first.name} added.` : `${photos.length} files added.`;
  return say(added + lost);
}

/** Puts the two views of a photo together if the task takes two, and apart if it doesn't. */
function group(files) {
  return settings.views === 2 ? pairViews(files) : files.map((photo) => ({ photo, right: null }));
}

function listed(names) {
  const more = names.length - MOST_NAMED;
  return names.slice(0, MOST_NAMED).join(", ") + (more > 0 ? ` and ${more} more` : "");
}

const isPhoto = (file) => suffixes.some((suffix) => file.name.toLowerCase().endsWith(suffix));

function act(what, entry, file) {
  if (what === "show") reveal(entry);
  if (what === "cancel") queue.cancel(entry);
  if (what === "again") again(entry);
  if (what === "remove") remove(entry);
  if (what === "right") {
    Object.assign(entry, { right: file, isByHand: file !== null });
    listAll();
  }
}

function reveal(entry) {
  select(entry);
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const { top, bottom } = viewer.stage.getBoundingClientRect();
  if (top < 0 || bottom > innerHeight) {
    viewer.stage.scrollIntoView({ block: "start", behavior: still ? "auto" : "smooth" });
  }
}

/** Restores a photo by the settings of now; what is done stays beside the new one. */
function again(entry) {
  const part = entry === selected ? viewer.visible : null;
  if (entry.state !== "done") return start([entry], part);
  const [next] = queue.add([{ photo: entry.file, right: entry.right }], entry);
  select(next);
  return start([next], part);
}

function remove(entry) {
  const at = queue.entries.indexOf(entry);
  queue.remove(entry);
  const next = queue.entries[Math.min(at, queue.entries.length - 1)] ?? null;
  if (entry === selected) select(next);
  list.focus(next, document.querySelector("#empty [data-pick]"));
}

/** Has photos restored; of the selected one the visible part first. */
function start(entries, part = viewer.visible) {
  const options = settings.values();
  const takesTwo = settings.views === 2;
  queue.start(entries, (entry) => {
    const isSeen = entry === selected && part;
    const visible = isSeen ? { visible: [part.x, part.y, part.width, part.height].join(",") } : {};
    return { options: { ...options, ...visible }, right: takesTwo ? entry.right : null };
  });
}

element("form").addEventListener("submit", (event) => {
  event.preventDefault();
  const ready = queue.entries.filter(({ state }) => state === "ready");
  if (ready.length) start(ready);
  else again(selected);
});

element("clear").addEventListener("click", () => {
  const lost = queue.entries.filter(({ state }) => state === "done").length;
  const results = lost ? `, and ${lost} results from the server` : "";
  if (!confirm(`Remove all photos from the list${results}?`)) return;
  [...queue.entries].forEach((entry) => queue.remove(entry));
  select(null);
  document.querySelector("#empty [data-pick]").focus();
});

queue.addEventListener("list", listAll);
queue.addEventListener("change", ({ detail: entry }) => {
  list.update(entry, { views: settings.views, selected });
  summarise();
  if (entry === selected) show();
  thumbnail(entry);
  announce(entry);
});

function announce(entry) {
  if (entry.announced === entry.state) return;
  entry.announced = entry.state;
  if (entry.state === "done") say(`${entry.name} is restored.`);
  if (entry.state === "failed") say(`${entry.name} failed: ${entry.detail}`);
  if (entry.state === "cancelled") say(`${entry.name} is cancelled.`);
}

function listAll() {
  list.set(queue.entries, { views: settings.views, selected });
  queue.entries.forEach(thumbnail);
  if (!queue.entries.includes(selected)) select(queue.entries[0] ?? null);
  summarise();
}

function summarise() {
  const count = (...states) => queue.entries.filter(({ state }) => states.includes(state)).length;
  const ready = count("ready");
  const done = queue.entries.filter(({ state }) => state === "done");
  const canRepeat = !ready && selected?.isOver && selected.file !== null;
  element("start").disabled = !ready && !canRepeat;
  element("start").textContent = canRepeat
    ? "Restore again"
    : ready > 1 ? `Restore ${ready} photos` : "Restore";
  element("no-photos").hidden = queue.entries.length > 0;
  element("clear").hidden = queue.entries.length < 2;
  element("zip").hidden = done.length < 2;
  element("zip").href = api.zipLink(done.map(({ job }) => job.id));
  const all = queue.entries.length - ready;
  document.title = all > done.length ? `${done.length} of ${all} – mirnet` : "mirnet";
}

function select(entry) {
  if (address) URL.revokeObjectURL(address);
  address = entry?.file && !entry.unshown ? URL.createObjectURL(entry.file) : null;
  const former = selected;
  selected = entry;
  for (const each of [former, entry].filter(Boolean)) {
    list.update(each, { views: settings.views, selected });
  }
  const hasPhoto = entry !== null;
  element("stage").hidden = !hasPhoto;
  element("tools").hidden = !hasPhoto;
  element("empty").hidden = hasPhoto;
  element("viewed").textContent = entry?.name ?? "Picture";
  if (hasPhoto) show();
  summarise();
}

/** Brings the viewer to what is known of the selected photo. */
function show() {
  const { job, state, name } = selected;
  viewer.before.alt = `${name} before`;
  viewer.after.alt = `${name} after`;
  viewer.show({
    key: selected.file ?? selected,
    before: address ?? selected.before,
    after: state === "done" ? job.links.after : null,
    preview: state === "running" && job.preview ? job.links.preview : null,
    box: job?.preview,
    size: job && { width: job.width, height: job.height },
    enlarge: selected.enlarge,
  });
  const note = element("stage-note");
  note.textContent = stageNote();
  note.hidden = !note.textContent;
}

function stageNote() {
  const { state, job, unshown, before, isOver } = selected;
  const framed = job?.preview ? ". The frame is a preview." : "";
  if (state === "running") return progressOf(job) + framed;
  if (!unshown || before) return "";
  const hope = isOver ? "" : " It is shown once the server works on it.";
  return `This browser can't show the file itself.${hope}`;
}

viewer.addEventListener("unshown", () => {
  if (!address) return;
  URL.revokeObjectURL(address);
  address = null;
  selected.unshown = true;
  show();
});
viewer.addEventListener("view", planHistogram);

let planned = 0;
function planHistogram() {
  clearTimeout(planned);
  planned = setTimeout(drawHistograms, HISTOGRAM_PAUSE_MS);
}

function drawHistograms() {
  const isShown = selected !== null && !viewer.before.hidden;
  element("histograms").hidden = !isShown;
  if (!isShown) return;
  const share = viewer.visibleShare;
  const plots = [viewer.before, viewer.after].map((image) =>
    image.hidden ? null : histogram.count(image, share),
  );
  const top = histogram.highest(plots);
  ["before", "after"].forEach((side, at) => {
    const canvas = element(`histogram-${side}`);
    histogram.draw(canvas, plots[at], top);
    const words = plots[at] ? `: ${histogram.inWords(plots[at])}` : "";
    canvas.nextElementSibling.textContent = titled(side) + words;
  });
}

let thumbnails = Promise.resolve();

/** Plans an entry's small picture, once there is one to draw it from; one at a time is decoded. */
function thumbnail(entry) {
  const own = entry.file !== null && !entry.unshown;
  const link = entry.before;
  if (entry.drawn || (!own && !link)) return;
  entry.drawn = true;
  thumbnails = thumbnails.then(() => drawThumbnail(entry, own, link));
}

async function drawThumbnail(entry, own, link) {
  const image = new Image();
  image.src = own ? URL.createObjectURL(entry.file) : link;
  try {
    await image.decode();
    list.draw(entry, image);
  } catch {
    entry.drawn = false; // the server's picture is asked for again when there is news
    if (own) {
      entry.unshown = true;
      thumbnail(entry);
    }
  } finally {
    if (own) URL.revokeObjectURL(image.src);
  }
}

element("zoom-in").addEventListener("click", () => viewer.step(true));
element("zoom-out").addEventListener("click", () => viewer.step(false));
element("zoom-fit").addEventListener("click", () => viewer.fit());
element("zoom-full").addEventListener("click", () => viewer.full());
element("show-keys").addEventListener("click", () => element("keys").showModal());
document.addEventListener("themechange", planHistogram);
