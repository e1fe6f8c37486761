// The list of photos as it is seen.

const STEPS = {
  ready: "Ready",
  asked: "Waits to be sent",
  sending: "Being sent",
  cancelled: "Cancelled",
};
const THUMB_PX = 144; // the longer side, for screens of two pixels per CSS pixel

export class EntryList {
  #list;
  #template;
  #rows = new Map(); // entry → its row

  /** `act(what, entry, file)` is called for "show", "cancel", "again", "remove" and "right". */
  constructor(list, template, act) {
    this.#list = list;
    this.#template = template;
    this.act = act;
  }

  /** Shows these entries in this order; rows that stay keep their focus. */
  set(entries, kind) {
    for (const [entry, row] of this.#rows) {
      if (!entries.includes(entry)) {
        row.remove();
        this.#rows.delete(entry);
      }
    }
    entries.forEach((entry, index) => {
      const row = this.#rows.get(entry) ?? this.#row(entry);
      if (this.#list.children[index] !== row) {
        this.#list.insertBefore(row, this.#list.children[index] ?? null);
      }
      this.update(entry, kind);
    });
  }

  /** `kind`: `views` of the chosen task, and the entry that is `selected`. */
  update(entry, { views, selected }) {
    const row = this.#rows.get(entry);
    if (!row) return;
    const find = (query) => row.querySelector(query);
    row.dataset.state = entry.state;
    row.classList.toggle("selected", entry === selected);
    find(".pick").setAttribute("aria-current", String(entry === selected));
    find(".kind").textContent = entry.job?.kind ?? "";
    const wanting = views === 2 && !entry.right && entry.state === "ready";
    find(".state").textContent = wanting ? "Ready, but for its right view" : stateOf(entry);
    showProgress(find("progress"), entry);
    showNotes(find(".notes"), entry.job?.notes ?? []);
    find(".right").hidden = views !== 2 || entry.isBusy || !entry.file;
    const right = entry.right ? `: ${entry.right.name}` : "";
    find(".right span").textContent = `Right view${right}`;
    this.#offer(row, entry);
  }

  /** Puts the focus on an entry's row, or where `otherwise` says if there is none. */
  focus(entry, otherwise) {
    (this.#rows.get(entry)?.querySelector(".pick") ?? otherwise).focus();
  }

  /** Draws the small picture of an entry. */
  draw(entry, image) {
    const canvas = this.#rows.get(entry)?.querySelector(".thumb");
    if (!canvas) return;
    const ratio = THUMB_PX / Math.max(image.naturalWidth, image.naturalHeight);
    canvas.width = Math.max(1, Math.round(image.naturalWidth * ratio));
    canvas.height = Math.max(1, Math.round(image.naturalHeight * ratio));
    canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  }

  #row(entry) {
    const row = this.#template.content.firstElementChild.cloneNode(true);
    row.querySelector(".name").textContent = entry.name;
    row.querySelector(".pick").addEventListener("click", () => this.act("show", entry));
    for (const button of row.querySelectorAll("[data-do]")) {
      const what = button.dataset.do;
      button.setAttribute("aria-label", `${button.textContent} ${entry.name}`);
      if (what !== "download") button.addEventListener("click", () => this.act(what, entry));
    }
    const right = row.querySelector("input");
    right.setAttribute("aria-label", `Right view of ${entry.name}`);
    right.addEventListener("change", () => this.act("right", entry, right.files[0] ?? null));
    row.querySelector("progress").setAttribute("aria-label", `Progress of ${entry.name}`);
    this.#rows.set(entry, row);
    return row;
  }

  #offer(row, entry) {
    const offered = {
      download: entry.state === "done",
      again: entry.isOver && entry.file !== null,
      cancel: entry.isBusy,
      remove: !entry.isBusy,
    };
    const focused = document.activeElement;
    for (const [what, is] of Object.entries(offered)) {
      row.querySelector(`[data-do=${what}]`).hidden = !is;
    }
    if (row.contains(focused) && focused.hidden) row.querySelector(".pick").focus();
    if (offered.download) {
      const link = row.querySelector("[data-do=download]");
      link.href = entry.job.links.result;
      link.download = entry.job.result_name;
    }
  }
}

function stateOf(entry) {
  const { state, job, detail } = entry;
  if (state === "failed" || state === "held") return detail;
  if (state === "waiting") return job.position ? `Waiting, ${job.position} before it` : "Next";
  if (state === "running") return progressOf(job);
  if (state === "done") return `Done in ${duration(job.elapsed_s)}`;
  return STEPS[state];
}

/** What a running job is at, in words: "Restoring, 37 %, 12 s left". */
export function progressOf(job) {
  const step = job.step[0].toUpperCase() + job.step.slice(1);
  const parts = [step];
  if (job.progress !== null) parts.push(`${Math.floor(100 * job.progress)} %`);
  if (job.left_s !== null) parts.push(`${duration(Math.max(1, Math.round(job.left_s)))} left`);
  return parts.join(", ");
}

function duration(seconds) {
  if (seconds < 9.95) return `${Number(seconds.toPrecision(2))} s`;
  if (seconds < 99.5) return `${Math.round(seconds)} s`;
  if (seconds < 5970) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}

function showProgress(bar, { state, job }) {
  bar.hidden = !["sending", "running"].includes(state);
  const part = state === "running" ? job.progress : null;
  if (part === null) bar.removeAttribute("value");
  else bar.value = part;
}

function showNotes(list, notes) {
  list.hidden = !notes.length;
  if (list.children.length === notes.length) return;
  list.replaceChildren(
    ...notes.map((note) => Object.assign(document.createElement("li"), { textContent: note })),
  );
}
