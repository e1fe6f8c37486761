// How photos come in: picked, pasted, or dropped, folders too.

/** Calls `take` with the files that somebody picks, pastes or drops anywhere on the page. */
export function intake(input, buttons, take) {
  for (const button of buttons) button.addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    take([...input.files]);
    input.value = ""; // the same file can be picked again
  });
  document.addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (files.length) take(files);
  });
  acceptDrops(take);
}

function acceptDrops(take) {
  const mark = (on) => document.body.classList.toggle("dropping", on);
  document.addEventListener("dragover", (event) => {
    if (!event.dataTransfer.types.includes("Files")) return;
    event.preventDefault();
    mark(true);
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) mark(false);
  });
  document.addEventListener("drop", async (event) => {
    if (!event.dataTransfer.types.includes("Files")) return;
    event.preventDefault();
    mark(false);
    take(await dropped(event.dataTransfer));
  });
}

async function dropped(transfer) {
  // The items are gone after the first await, so all are asked for before it.
  const places = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!places.length) return [...transfer.files];
  return (await Promise.all(places.map((place) => below(place, false)))).flat();
}

async function below(place, inFolder) {
  if (place.isFile) {
    const file = await new Promise((found, failed) => place.file(found, failed));
    return inFolder && file.name.startsWith(".") ? [] : [Object.assign(file, { inFolder })];
  }
  const inside = (await children(place)).toSorted((a, b) => a.name.localeCompare(b.name));
  return (await Promise.all(inside.map((each) => below(each, true)))).flat();
}

async function children(folder) {
  const reader = folder.createReader();
  const found = [];
  for (;;) {
    const some = await new Promise((read, failed) => reader.readEntries(read, failed));
    if (!some.length) return found; // browsers give a hundred at a time
    found.push(...some);
  }
}

const SIDES = {
  left: /(^|[_\-. ])(l|left)(?=\.[^.]+$)/i,
  right: /(^|[_\-. ])(r|right)(?=\.[^.]+$)/i,
};

/** Puts `IMG_L` and `IMG_R` together; returns `{photo, right}` for each photo, `right` or null. */
export function pairViews(files) {
  const stem = (file, side) => file.name.replace(SIDES[side], "$1").toLowerCase();
  const rights = new Map(
    files.filter((file) => SIDES.right.test(file.name)).map((file) => [stem(file, "right"), file]),
  );
  const pairs = files
    .filter((file) => SIDES.left.test(file.name) && rights.has(stem(file, "left")))
    .map((file) => ({ photo: file, right: rights.get(stem(file, "left")) }));
  const paired = new Set(pairs.flatMap(({ photo, right }) => [photo, right]));
  const single = files.filter((file) => !paired.has(file));
  return [...pairs, ...single.map((photo) => ({ photo, right: null }))];
}
