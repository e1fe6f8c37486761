// The photos, what each is at, and the talk with the server about them.

import * as api from "./api.js";

// A browser keeps six connections to a host, and pictures need some of them.
const MOST_STREAMS = 3;
const FIRST_WAIT_S = 1;
const LONGEST_WAIT_S = 15;
const FORGOTTEN = "The server no longer has this photo. Restore it again.";

/**
 * One photo. `state` is the job's, and before there is one: "ready" (nothing was asked), "asked",
 * "sending", or "held" (the server has no place, or doesn't answer).
 */
class Entry {
  job = null;
  former = null; // the job of a try that failed or was cancelled, until there is another
  state = "ready";
  detail = null;
  right = null;
  isByHand = false; // whether somebody chose its right view
  enlarge = 1; // how much larger its result is
  request = null; // what is sent with it: `{options, right}`
  #abort = null;

  constructor(name, file) {
    this.name = name;
    this.file = file; // null: sent before this page was loaded
  }

  get isOver() {
    return api.isOver(this.state);
  }

  /** Whether the server or this page is at work on it, or will be. */
  get isBusy() {
    return this.state !== "ready" && !this.isOver;
  }

  /** The server's picture of it before; null until the server has one. */
  get before() {
    return this.job?.links.before ?? this.former?.links.before ?? null;
  }

  set(state, detail = null) {
    this.state = state;
    this.detail = detail;
  }

  take(job) {
    // Answers can pass each other; what is over stays so.
    if (this.isOver && this.job?.id === job.id && !api.isOver(job.state)) return;
    this.job = job;
    this.enlarge = job.enlarge;
    this.set(job.state, job.detail);
  }

  begin() {
    this.#abort = new AbortController();
    return this.#abort.signal;
  }

  stop() {
    this.#abort?.abort();
  }
}

/** Tells of each entry that changed by a "change" event with it, and of the list by "list". */
export class Queue extends EventTarget {
  entries = [];
  limits = { bytes: Infinity };
  #say;
  #sending = false;
  #silent = false;
  #wait = FIRST_WAIT_S;
  #streams = new Map(); // a job's id → what closes its stream

  /** `say` is called with each line that is not about one photo. */
  constructor(say) {
    super();
    this.#say = say;
  }

  /** Adds photos as `{photo, right}`; returns their entries. */
  add(pairs, after = this.entries.at(-1)) {
    const added = pairs.map(({ photo, right }) =>
      Object.assign(new Entry(photo.name, photo), { right }),
    );
    this.entries.splice(this.entries.indexOf(after) + 1, 0, ...added);
    this.#tell("list");
    return added;
  }

  /** Makes the photos that are ready those of `group(files)`; pairs made by hand stay. */
  regroup(group) {
    const ready = this.entries.filter((each) => each.state === "ready" && !each.isByHand);
    const pairs = group(ready.flatMap(({ file, right }) => (right ? [file, right] : [file])));
    const kept = new Map(ready.map((entry) => [entry.file, entry]));
    const parted = pairs.filter(({ photo }) => !kept.has(photo));
    for (const { photo, right } of pairs) if (kept.has(photo)) kept.get(photo).right = right;
    const photos = new Set(pairs.map(({ photo }) => photo));
    this.entries = this.entries.filter((each) => !ready.includes(each) || photos.has(each.file));
    this.add(parted);
  }

  /** Asks for photos to be restored, each with what `request(entry)` says. */
  start(entries, request) {
    for (const entry of entries) {
      entry.request = request(entry);
      entry.former = entry.job ?? entry.former;
      entry.job = null;
      entry.enlarge = entry.request.options.enlarge ?? 1;
      entry.set("asked");
      this.#tell("change", entry);
    }
    this.#sendAll();
  }

  async cancel(entry) {
    entry.stop();
    if (entry.isOver) return;
    if (!entry.job) return this.#change(entry, "cancelled");
    await this.#attempt(async () => this.#took(entry, await api.cancel(entry.job)));
    this.#follow();
  }

  /** Takes a photo off the list, and its files off the server. */
  async remove(entry) {
    entry.stop();
    this.entries = this.entries.filter((each) => each !== entry);
    this.#tell("list");
    for (const job of [entry.job, entry.former].filter(Boolean)) {
      await this.#attempt(() => api.forget(job));
    }
    this.#follow();
  }

  /** Asks how all stand; `adopt` also lists what was sent before this page was loaded. */
  async refresh(adopt = false) {
    // A photo that is sent meanwhile is not in the answer, and not forgotten.
    const asked = this.entries.filter((each) => each.job).map((each) => [each, each.job.id]);
    let jobs;
    try {
      jobs = new Map((await api.jobs()).map((job) => [job.id, job]));
    } catch (fault) {
      this.#fellSilent(fault, adopt);
      return;
    }
    this.#answered();
    for (const [entry, id] of asked) {
      const job = jobs.get(id);
      jobs.delete(id);
      if (entry.job?.id !== id) continue;
      if (job) this.#took(entry, job);
      else if (!["failed", "cancelled"].includes(entry.state)) this.#forgotten(entry);
    }
    if (adopt && jobs.size) this.#adopt([...jobs.values()]);
    this.#follow();
  }

  #adopt(jobs) {
    for (const job of jobs) {
      const entry = new Entry(job.name, null);
      entry.take(job);
      this.entries.push(entry);
    }
    this.#tell("list");
  }

  async #sendAll() {
    if (this.#sending) return;
    this.#sending = true;
    let entry;
    while ((entry = this.entries.find((each) => each.state === "asked"))) await this.#send(entry);
    this.#sending = false;
  }

  async #send(entry) {
    if (entry.file.size > this.limits.bytes) {
      this.#change(entry, "failed", tooLarge(entry.file.size, this.limits.bytes));
      return;
    }
    const signal = entry.begin();
    this.#change(entry, "sending");
    const { options, right } = entry.request;
    try {
      const job = await api.submit(entry.file, right, options, signal);
      this.#answered();
      if (signal.aborted) this.#attempt(() => api.forget(job)); // the answer came too late
      else this.#begun(entry, job);
    } catch (fault) {
      if (!signal.aborted) await this.#notSent(entry, fault, signal);
    }
  }

  #begun(entry, job) {
    const { former } = entry;
    entry.former = null;
    this.#took(entry, job);
    this.#follow();
    if (former) this.#attempt(() => api.forget(former));
  }

  async #notSent(entry, fault, signal) {
    const silent = fault.status === 0;
    const isLost = silent && !(await isReadable(entry.file));
    if (signal.aborted) return;
    if (!silent && fault.status !== 429) {
      this.#change(entry, "failed", fault.message);
      if (fault.status === 401) this.#say(fault.message);
    } else if (isLost) {
      this.#change(entry, "failed", "The file can't be read any more. Add the photo again.");
    } else {
      const wait = silent ? this.#nextWait() : fault.wait;
      this.#silent ||= silent;
      const then = silent ? ` The page tries again in ${wait} s.` : ". The page does so by itself.";
      this.#change(entry, "held", fault.message + then);
      this.#say(entry.detail);
      await pause(wait, signal);
      if (!signal.aborted) this.#change(entry, "asked");
    }
  }

  #answered() {
    if (this.#silent) this.#say("The server answers again.");
    this.#silent = false;
    this.#wait = FIRST_WAIT_S;
  }

  /** Follows what runs; if nothing does, the first that waits. */
  #follow() {
    const open = this.entries.filter((each) => each.job && each.isBusy);
    const running = open.filter((each) => each.state === "running").slice(0, MOST_STREAMS);
    const followed = running.length ? running : open.slice(0, 1);
    const wanted = new Map(followed.map((each) => [each.job.id, each]));
    for (const [id, close] of this.#streams) {
      if (!wanted.has(id)) this.#streams.delete(id) && close();
    }
    for (const [id, entry] of wanted) {
      if (this.#streams.has(id)) continue;
      const lost = () => this.#streams.delete(id) && pause(FIRST_WAIT_S).then(() => this.refresh());
      this.#streams.set(id, api.follow(entry.job, (job) => this.#heard(entry, job), lost));
    }
  }

  #heard(entry, job) {
    if (entry.job?.id !== job.id) return;
    const before = entry.state;
    this.#took(entry, job);
    if (!entry.isOver && before === job.state) return;
    if (entry.isOver) this.#streams.delete(job.id);
    this.refresh(); // the others have moved up
  }

  #took(entry, job) {
    entry.take(job);
    this.#tell("change", entry);
  }

  #forgotten(entry) {
    entry.job = null;
    this.#change(entry, "failed", entry.file ? FORGOTTEN : "The server no longer has this photo.");
  }

  #change(entry, state, detail = null) {
    entry.set(state, detail);
    this.#tell("change", entry);
  }

  /** Waits and asks again, less and less often; says so once. */
  async #fellSilent(fault, adopt) {
    if (!this.#silent) this.#say(fault.message);
    this.#silent = true;
    await pause(this.#nextWait());
    this.refresh(adopt);
  }

  #nextWait() {
    const wait = this.#wait;
    this.#wait = Math.min(2 * wait, LONGEST_WAIT_S);
    return wait;
  }

  async #attempt(action) {
    try {
      await action();
    } catch (fault) {
      if (fault.status !== 404) this.#say(fault.message); // 404: gone already, as it should be
    }
  }

  #tell(what, entry) {
    this.dispatchEvent(new CustomEvent(what, { detail: entry }));
  }
}

function tooLarge(size, most) {
  const mega = (bytes) => `${Math.ceil(bytes / 2 ** 20)} MiB`;
  return `The file has ${mega(size)}; this server takes up to ${mega(most)}.`;
}

async function isReadable(file) {
  try {
    await file.slice(0, 1).arrayBuffer();
    return true;
  } catch {
    return false;
  }
}

function pause(seconds, signal) {
  return new Promise((done) => {
    const timer = setTimeout(done, 1000 * seconds);
    signal?.addEventListener("abort", () => clearTimeout(timer) ?? done());
  });
}
