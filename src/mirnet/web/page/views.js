// Which files are the two views of one photo, told by their names, as on the command line.

// The end of a name that tells the side, and what parts it from the rest.
const MARK =
  /(^|[_\-. ]|(?<=[a-z0-9])(?=[LR]))([Ll][Ee][Ff][Tt]|[Rr][Ii][Gg][Hh][Tt]|[LlRr])$/;
const LEVELS = 3; // parts of a path, from the file's name up, that may tell the side

/**
 * Puts the left and the right views of photos together: `IMG_L` and `IMG_R` in one folder, or files
 * of one name in folders beside each other, as `left` and `right`. Returns `{photo, right}` for
 * each photo, `right` or null. Where more than two files would fit together, each stays single.
 */
export function pairViews(files) {
  const rights = new Map(); // left view → right view
  const paired = new Set();
  for (let level = 0; level < LEVELS; level++) {
    const rest = files.filter((file) => !paired.has(file));
    for (const { left, right } of alike(rest, level).values()) {
      if (left.length !== 1 || right.length !== 1) continue;
      rights.set(left[0], right[0]);
      paired.add(left[0]).add(right[0]);
    }
  }
  return files
    .filter((file) => !paired.has(file) || rights.has(file))
    .map((photo) => ({ photo, right: rights.get(photo) ?? null }));
}

/** The files whose paths differ in nothing but the side that one level tells, as left and right. */
function alike(files, level) {
  const found = new Map();
  for (const file of files) {
    const { side, key } = sideAt(file, level);
    if (!side) continue;
    if (!found.has(key)) found.set(key, { left: [], right: [] });
    found.get(key)[side].push(file);
  }
  return found;
}

function sideAt(file, level) {
  const [, stem, suffix] = /^(.*?)(\.[^.]*)?$/s.exec(file.name);
  const folders = (file.path || file.webkitRelativePath || file.name).split("/").slice(0, -1);
  const parts = [...folders, stem];
  const at = parts.length - 1 - level;
  const mark = MARK.exec(parts[at] ?? "")?.[2].toLowerCase();
  if (!mark) return { side: null };
  // `_L` goes with `_R` and `_left` with `_right`.
  parts[at] = `${parts[at].slice(0, -mark.length)}/${mark.length > 1 ? "word" : "letter"}`;
  const key = [...parts, suffix].join("/").toLowerCase();
  return { side: mark.startsWith("l") ? "left" : "right", key };
}
