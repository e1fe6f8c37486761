// The form that says what is done to the photos.

const DEFAULTS = {
  strength: 1,
  detail: 0,
  chroma_only: false,
  allow_damaged: false,
  enlarge: 1,
  format: "keep",
  depth: "keep",
  quality: "",
};
const ENLARGES = "super-resolution";

export class Settings {
  #form;
  #known = { models: [], tasks: [] };

  /** `changed` is called when another task is chosen. */
  constructor(form, changed) {
    this.#form = form;
    form.task.addEventListener("change", () => {
      this.#taskChosen();
      changed();
    });
    form.weights.addEventListener("change", () => this.#describe());
    for (const name of ["strength", "detail"]) {
      form[name].addEventListener("input", () => showPercent(form[name]));
      showPercent(form[name]);
    }
  }

  /** Fills the lists with what the server has (the answer of `/v1/models`). */
  fill(known) {
    this.#known = known;
    const chosen = this.#form.task.value;
    this.#form.task.replaceChildren(
      ...known.tasks.map(({ name }) => {
        const none = !this.#weightsOf(name).length;
        const option = new Option(titled(name) + (none ? " (no weights here)" : ""), name);
        option.disabled = none;
        return option;
      }),
    );
    const first = known.models.find((model) => model.is_default) ?? known.models[0];
    this.#form.task.value = chosen || first?.task;
    this.#form.format.replaceChildren(
      ...known.formats.map(
        (name) => new Option(name === "keep" ? "As the photo" : name.toUpperCase(), name),
      ),
    );
    this.#taskChosen();
  }

  /** How many files make one photo of the chosen task: 2 for a left and a right view. */
  get views() {
    return this.#model?.views ?? 1;
  }

  /** The fields of a job: the task, the weights, and what differs from the server's defaults. */
  values() {
    const form = this.#form;
    const chosen = {
      strength: form.strength.value / 100,
      detail: form.detail.value / 100,
      chroma_only: form.chroma_only.checked,
      allow_damaged: form.allow_damaged.checked,
      enlarge: form.task.value === ENLARGES ? Number(form.enlarge.value) : 1,
      format: form.format.value,
      depth: form.depth.value,
      quality: form.quality.value,
    };
    const told = Object.entries(chosen).filter(([name, value]) => value !== DEFAULTS[name]);
    return { task: form.task.value, weights: form.weights.value, ...Object.fromEntries(told) };
  }

  get #model() {
    return this.#known.models.find((model) => model.name === this.#form.weights.value);
  }

  #weightsOf(task) {
    return this.#known.models.filter((model) => model.task === task);
  }

  #taskChosen() {
    const { task, weights, enlarge } = this.#form;
    const fitting = this.#weightsOf(task.value);
    const usual = this.#known.tasks.find(({ name }) => name === task.value)?.weights;
    weights.replaceChildren(...fitting.map(({ name }) => new Option(name, name)));
    if (fitting.some(({ name }) => name === usual)) weights.value = usual;
    const enlarges = task.value === ENLARGES;
    enlarge.hidden = !enlarges;
    enlarge.labels[0].hidden = !enlarges;
    this.#describe();
  }

  #describe() {
    const task = this.#known.tasks.find(({ name }) => name === this.#form.task.value);
    const sentences = [task?.summary, this.#model && `Weights: ${this.#model.summary}`];
    document.getElementById("task-summary").textContent = sentences
      .filter(Boolean)
      .map((each) => `${capital(each)}.`)
      .join(" ");
  }
}

function showPercent(range) {
  const text = `${range.value} %`;
  range.nextElementSibling.textContent = text;
  range.setAttribute("aria-valuetext", text);
}

/** A task's name as a title: "low-light" becomes "Low light". */
export function titled(name) {
  return capital(name === ENLARGES ? name : name.replaceAll("-", " "));
}

const capital = (text) => text[0].toUpperCase() + text.slice(1);
