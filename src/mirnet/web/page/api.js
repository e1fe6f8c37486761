// The server's HTTP API, as the page uses it.

/** An answer that is a refusal (`status`), or none at all (status 0). `wait` is in seconds. */
export class Fault extends Error {
  constructor(status, detail, wait = 0) {
    super(detail);
    this.status = status;
    this.wait = wait;
  }
}

export const isOver = (state) => ["done", "failed", "cancelled"].includes(state);

const DEFAULT_WAIT_S = 5;

async function call(path, options = {}) {
  let answer;
  try {
    answer = await fetch(path, { cache: "no-store", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Fault(0, "The server doesn't answer. Is mirnet serve still running?");
  }
  if (answer.ok) return answer.status === 204 ? null : answer.json();
  throw new Fault(
    answer.status,
    await reason(answer),
    Number(answer.headers.get("Retry-After")) || DEFAULT_WAIT_S,
  );
}

async function reason(answer) {
  if (answer.status === 401) {
    return "The token is missing. Open the link with the token again that mirnet serve printed.";
  }
  try {
    return (await answer.json()).detail;
  } catch {
    return `The server answered with ${answer.status} ${answer.statusText}.`;
  }
}

export const models = () => call("/v1/models");

export const jobs = async () => (await call("/v1/jobs")).jobs;

/** Sends a photo, and what to do with it; returns the job. */
export function submit(photo, right, options, signal) {
  const body = new FormData();
  body.append("photo", photo, photo.name);
  if (right) body.append("right", right, right.name);
  for (const [name, value] of Object.entries(options)) body.append(name, value);
  return call("/v1/jobs", { method: "POST", body, signal });
}

export const cancel = (job) => call(`${job.links.self}/cancel`, { method: "POST" });

export const forget = (job) => call(job.links.self, { method: "DELETE" });

export const zipLink = (ids) => `/v1/zip?ids=${ids.map(encodeURIComponent).join(",")}`;

/** Calls `heard` with each state of a job until it is over, `lost` if the server falls silent. */
export function follow(job, heard, lost) {
  const source = new EventSource(job.links.events);
  const close = () => source.close();
  source.addEventListener("job", (event) => {
    const now = JSON.parse(event.data);
    if (isOver(now.state)) close();
    heard(now);
  });
  source.addEventListener("error", () => {
    close();
    lost();
  });
  return close;
}
