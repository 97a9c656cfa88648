// Ask for the state every two seconds and show it. Text goes in as text, never as markup.

import { curve, federationMap, look } from "./charts.js";

const POLL_MILLISECONDS = 2000;
const PHASES = ["advertise_keys", "share_keys", "masked_input", "consistency", "unmask"];
const STATES = { completed: "good", aborted: "bad", gathering: "warn", starting: "warn" };
const LEGEND = [
  ["good", "in the sum"], ["now", "taking part"], ["idle", "not asked, or away"], ["bad", "dropped out"],
];

const find = (id) => document.getElementById(id);
let known = "";
let shown = null;
let clockSkew = 0;

function make(name, text, className) {
  const made = document.createElement(name);
  if (text !== undefined && text !== null) made.textContent = String(text);
  if (className) made.className = className;
  return made;
}

function fill(id, ...children) {
  find(id).replaceChildren(...children);
}

const serverNow = () => Date.now() / 1000 + clockSkew;
const time = (at) => (at === null ? "" : new Date(at * 1000).toLocaleTimeString());

function duration(seconds) {
  if (seconds < 60) return `${Math.max(0, seconds).toFixed(seconds < 10 ? 1 : 0)} s`;
  return seconds < 3600 ? `${(seconds / 60).toFixed(1)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

function showProgress(state) {
  document.title = `${state.run} – ${state.state}`;
  find("run").textContent = state.run || "FeCoSR";
  find("state").textContent = state.state;
  find("state").className = `badge ${STATES[state.state] ?? ""}`;
  const attempt = state.attempt > 1 ? `, attempt ${state.attempt}` : "";
  find("round").textContent =
    `Round ${state.round} of ${state.planned}${attempt}; ${state.released} released`;
  find("released").max = Math.max(1, state.planned);
  find("released").value = state.released;
  const place = PHASES.indexOf(state.phase);
  fill("phases", ...PHASES.map((phase, index) => {
    const label = phase === "advertise_keys" ? "training, advertise keys" : phase.replaceAll("_", " ");
    const item = make("li", label, place < 0 ? "" : index < place ? "done" : index === place ? "now" : "");
    if (index === place) item.setAttribute("aria-current", "step");
    return item;
  }));
  showWaiting(state);
}

function showWaiting(state) {
  const parts = [];
  if (state.phase_since !== null) parts.push(`This phase began ${duration(serverNow() - state.phase_since)} ago.`);
  if (state.state === "gathering" && state.waiting_for.length) parts.push(`Waiting for ${state.waiting_for.join(", ")}.`);
  if (state.last_abort) parts.push(`Last abort: ${state.last_abort}.`);
  find("waiting").textContent = parts.join(" ");
}

function table(id, headings, rows) {
  const head = make("thead");
  head.append(make("tr"));
  head.firstChild.append(...headings.map(([name, kind]) => make("th", name, kind)));
  const body = make("tbody");
  for (const cells of rows) {
    const row = make("tr");
    row.append(...cells.map(([text, className]) => make("td", text, className)));
    body.append(row);
  }
  fill(id, head, body);
}

function dropouts(market) {
  return Object.entries(market.dropouts).map(([reason, count]) => `${count} × ${reason}`).join(", ");
}

function showMarkets(state) {
  fill("map", federationMap(state.markets));
  fill("legend", ...LEGEND.map(([kind, text]) => make("li", `● ${text}`, kind)));
  const headings = [
    ["market"], ["connection"], ["this attempt"], ["sums", "number"], ["NDCG@10, if shared", "number"], ["dropouts"], ["breaches", "number"], ["model"],
  ];
  table("markets", headings, state.markets.map((market) => [
    [market.name],
    [market.connected ? `since ${time(market.changed)}` : market.changed === null ? "not seen yet" : `away since ${time(market.changed)}`,
      market.connected ? "good" : market.finished ? "idle" : "warn"],
    [market.convicted ? `convicted: ${market.convicted}` : market.dropout ? `${market.part}: ${market.dropout}` : market.part,
      look(market)],
    [market.sums, "number"],
    [market.validation === null ? "–" : market.validation.toFixed(4), "number"],
    [dropouts(market)],
    [market.violations, market.violations ? "number bad" : "number"],
    [market.finished ? "has the final model" : ""],
  ]));
}

function showCurves(state) {
  const points = (name) => state.rounds
    .filter((round) => round[name] !== null)
    .map((round) => ({ round: round.round, value: round[name] }));
  const [loss, validation] = [points("loss"), points("validation")];
  const drawn = [];
  if (loss.length) drawn.push(curve("Mean training loss", loss, "loss"));
  if (validation.length) drawn.push(curve("Mean validation NDCG@10", validation, "validation"));
  const last = state.rounds[state.rounds.length - 1];
  if (last && last.seconds !== null) {
    drawn.push(make("p", `Round ${last.round} took ${duration(last.seconds)}, the sum of ${last.survivors.join(", ")}.`));
  }
  fill("curves", ...(drawn.length ? drawn : [make("p", "Nothing is released yet.", "idle")]));
}

function showBudget(state) {
  const privacy = state.privacy;
  if (privacy === null || privacy.epsilon === null) {
    find("promise").textContent = "This run promises its users no differential privacy; epsilon is unbounded.";
    fill("budgets");
    return;
  }
  find("promise").textContent = `Epsilon of at most ${privacy.epsilon} at delta ${privacy.delta} for any user of any market.`;
  fill("budgets", ...state.markets.flatMap((market) => {
    const gauge = make("meter");
    gauge.max = privacy.epsilon;
    gauge.high = 0.9 * privacy.epsilon;
    gauge.value = market.epsilon ?? 0;
    gauge.setAttribute("aria-label", `epsilon spent for ${market.name}`);
    const spent = market.epsilon === null ? `${market.charged} sums` : `${market.epsilon.toFixed(2)} in ${market.charged} sums`;
    return [make("span", market.name), gauge, make("span", spent)];
  }));
}

// What an audit of a run that goes on has to find: that it goes on.
function isSoFar(state, audit) {
  const isOver = state.state === "completed" || state.state === "aborted";
  return !isOver && audit.findings.length === 1 && audit.findings[0].startsWith("run_completed:");
}

function showLedger(state) {
  const audit = state.audit;
  const found = audit?.verified ? "verified" : audit && isSoFar(state, audit) ? "nothing wrong so far" : "NOT verified";
  const verdict = audit === null ? "none has been put here yet"
    : audit.verified === null ? `unreadable, ${time(audit.at)}`
    : `${found}, ${audit.rounds} rounds, ${new Date(audit.at * 1000).toLocaleString()}`;
  const rows = [
    ["records", state.records],
    ["last entry", state.last_entry],
    ["restarts", state.restarts],
    ["aborts", Object.entries(state.aborts).map(([reason, count]) => `${count} × ${reason}`).join(", ") || "none"],
    ["last audit", verdict, audit === null ? "" : found === "NOT verified" ? "bad" : "good"],
  ];
  fill("ledger", ...rows.flatMap(([name, value, kind]) => [make("dt", name), make("dd", value, kind)]));
  fill("findings", ...(audit?.findings ?? []).map((text) => make("li", text)));
}

function showLog(state) {
  const hides = (line, name) => name === "run" || name === "party" || (name === "phase" && line.event !== "phase_started");
  table("log", [["time"], ["event"], ["details"]], state.lines.map((line) => [
    [time(line.at)],
    [line.event, line.level === "info" ? "" : line.level === "warning" ? "warn" : "bad"],
    [Object.entries(line.fields).filter(([name]) => !hides(line, name)).map(([name, value]) => `${name}=${value}`).join("  "), "text"],
  ]));
}

function show(state) {
  for (const part of [showProgress, showMarkets, showCurves, showBudget, showLedger, showLog]) part(state);
  document.body.dataset.shown = String(state.records);
}

async function poll() {
  try {
    const answer = await fetch(new URL("/state.json", location.origin), {
      headers: known ? { "If-None-Match": known } : {}, cache: "no-store", signal: AbortSignal.timeout(10000),
    });
    if (answer.status !== 200 && answer.status !== 304) throw new Error(`the coordinator answered ${answer.status}`);
    clockSkew = Date.parse(answer.headers.get("Date")) / 1000 - Date.now() / 1000 || 0;
    if (answer.status === 200) {
      known = answer.headers.get("ETag");
      shown = await answer.json();
      show(shown);
    } else if (shown !== null) {
      showWaiting(shown);
    }
    find("contact").textContent = `as of ${new Date().toLocaleTimeString()}`;
    find("contact").className = "";
  } catch (error) {
    find("contact").textContent = `no contact with the coordinator (${error.message})`;
    find("contact").className = "bad";
  }
  setTimeout(poll, POLL_MILLISECONDS);
}

poll();
