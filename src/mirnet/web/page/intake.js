// How photos come in: picked, pasted, or dropped, folders too.

/**
 * Calls `take(files, unread)` with the files that somebody picks, pastes or drops anywhere on the
 * page, and the paths of those that can't be read. What is dropped has its `path`, from what was
 * dropped down, and says whether it is `inFolder`.
 */
export function intake(input, buttons, take) {
  for (const button of buttons) button.addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    take([...input.files], []);
    input.value = ""; // the same file can be picked again
  });
  document.addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (files.length) take(files, []);
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
    const unread = [];
    take(await dropped(event.dataTransfer, unread), unread);
  });
}

async function dropped(transfer, unread) {
  // The items are gone after the first await, so all are asked for before it.
  const places = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!places.length) return [...transfer.files];
  return (await Promise.all(places.map((place) => below(place, false, unread)))).flat();
}

/** The files of a place; what can't be read adds its path to `unread`. */
async function below(place, inFolder, unread) {
  if (inFolder && place.isFile && place.name.startsWith(".")) return [];
  try {
    if (place.isFile) return [await fileOf(place, inFolder)];
    const inside = (await children(place)).toSorted((a, b) => a.name.localeCompare(b.name));
    return (await Promise.all(inside.map((each) => below(each, true, unread)))).flat();
  } catch {
    unread.push(pathOf(place));
    return [];
  }
}

async function fileOf(place, inFolder) {
  const file = await new Promise((found, failed) => place.file(found, failed));
  return Object.assign(file, { inFolder, path: pathOf(place) });
}

const pathOf = (place) => place.fullPath.replace(/^\//, "");

async function children(folder) {
  const reader = folder.createReader();
  const found = [];
  for (;;) {
    const some = await new Promise((read, failed) => reader.readEntries(read, failed));
    if (!some.length) return found; // browsers give a hundred at a time
    found.push(...some);
  }
}
