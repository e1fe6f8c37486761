// The keys of the viewer.

const PAN = 60; // CSS pixels
const MOVE = 0.02; // of the divider's way

/** Lets the keyboard work the viewer; `dialog` shows the keys. */
export function listenToKeys(viewer, dialog) {
  const onlyFocused = document.getElementById("keys-focus");
  onlyFocused.checked = localStorage.getItem("keys-focus") === "true";
  onlyFocused.addEventListener("change", () => {
    localStorage.setItem("keys-focus", onlyFocused.checked);
  });

  const always = {
    "+": () => viewer.step(true),
    "=": () => viewer.step(true),
    "-": () => viewer.step(false),
    "−": () => viewer.step(false),
    0: () => viewer.fit(),
    1: () => viewer.full(),
    ",": () => (viewer.divider -= MOVE),
    "[": () => (viewer.divider -= MOVE),
    ".": () => (viewer.divider += MOVE),
    "]": () => (viewer.divider += MOVE),
    b: () => (viewer.holding = true),
  };
  const focused = {
    ArrowLeft: () => viewer.pan(PAN, 0),
    ArrowRight: () => viewer.pan(-PAN, 0),
    ArrowUp: () => viewer.pan(0, PAN),
    ArrowDown: () => viewer.pan(0, -PAN),
  };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || dialog.open) return;
    const onStage = document.activeElement === viewer.stage;
    if (!onStage && (onlyFocused.checked || takesText(event.target))) return;
    const name = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (name === "?") {
      event.preventDefault();
      dialog.showModal();
      return;
    }
    if (viewer.stage.hidden) return;
    const action = always[name] ?? (onStage ? focused[name] : undefined);
    if (!action) return;
    event.preventDefault();
    action();
  });
  document.addEventListener("keyup", (event) => {
    if (event.key.toLowerCase() === "b") viewer.holding = false;
  });
  window.addEventListener("blur", () => (viewer.holding = false));
}

/** Whether an element uses letters and digits itself: a field, or a list searched by them. */
function takesText(target) {
  return target.matches?.("select, textarea, input:not([type=range], [type=checkbox])") ?? false;
}
