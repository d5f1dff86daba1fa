// Keeps an open page true: when the centre says that something changed, the page fetches itself and swaps its parts.
"use strict";

const source = document.body.dataset.events;
const pulse = document.getElementById("pulse");
const lost = document.getElementById("lost");
const REFRESH_MS = 15000; // ages and waiting times move on although nothing happened
const APART_MS = 1000; // the first news shows at once, a flood of them once a second
let waiting = null;
let refreshed = 0;
let pressed = false; // a finger or button is down: what it is on must not be swapped away beneath it
let seen = document.body.dataset.number; // the newest fact that this page shows

function parts(root) {
  return [...root.querySelectorAll("[data-live]")];
}

function concerns(keys) {
  return parts(document).some((part) => part.dataset.live === "*" || keys.includes(part.dataset.live));
}

// A part in which somebody is writing stays as it is, but what lies inside it and its hidden fields are renewed.
function busy(part) {
  if (!part.hasAttribute("data-keep")) return false;
  if (part.contains(document.activeElement) && document.activeElement.matches("input, textarea, select")) return true;
  return [...part.querySelectorAll("textarea, input:not([type=hidden])")].some((field) =>
    field.type === "radio" ? field.checked : field.value !== "");
}

function swap(fresh) {
  seen = fresh.body.dataset.number;
  for (const part of parts(document)) {
    const renewed = fresh.getElementById(part.id);
    if (!renewed || !part.isConnected) continue;
    if (busy(part)) {
      for (const field of part.querySelectorAll("input[name=seen]")) {
        const other = renewed.querySelector("input[name=seen]");
        if (other) field.value = other.value;
      }
      continue;
    }
    const open = [...part.querySelectorAll("details")].map((one) => one.open);
    if (part.innerHTML !== renewed.innerHTML) part.replaceChildren(...renewed.childNodes);
    part.querySelectorAll("details").forEach((one, at) => { one.open = open[at] ?? one.open; });
  }
}

async function refresh() {
  waiting = null;
  refreshed = Date.now();
  if (document.hidden) return;
  if (pressed) {
    soon(300);
    return;
  }
  try {
    const answer = await fetch(location.pathname, { headers: { accept: "text/html" }, cache: "no-store" });
    if (answer.redirected && new URL(answer.url).pathname === "/login") {
      location.href = answer.url;
      return;
    }
    if (!answer.ok) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    if (pressed) soon(300);
    else swap(fresh);
  } catch {
    down();
  }
}

function soon(after = 120) {
  if (waiting === null) waiting = setTimeout(refresh, Math.max(after, refreshed + APART_MS - Date.now()));
}

function up() {
  lost.hidden = true;
  pulse.classList.remove("down");
}

function down() {
  lost.hidden = false;
  pulse.classList.add("down");
}

function listen() {
  const events = new EventSource(source);
  events.addEventListener("hello", (event) => {
    up();
    if (seen !== event.data && parts(document).length) soon();
  });
  events.addEventListener("change", (event) => {
    up();
    if (concerns(JSON.parse(event.data))) soon();
  });
  events.addEventListener("over", () => { location.href = "/login?next=" + encodeURIComponent(location.pathname); });
  events.addEventListener("error", () => {
    down();
    if (events.readyState === EventSource.CLOSED) {
      events.close();
      setTimeout(() => { listen(); soon(); }, 3000);
    }
  });
}

document.querySelector(".ways [aria-current]")?.scrollIntoView({ inline: "center", block: "nearest" });

if (source) {
  listen();
  if (parts(document).length) setInterval(() => soon(), REFRESH_MS);
  addEventListener("pointerdown", () => { pressed = true; });
  for (const end of ["pointerup", "pointercancel", "blur"]) {
    addEventListener(end, () => { setTimeout(() => { pressed = false; }, 50); });
  }
  document.addEventListener("visibilitychange", () => { if (!document.hidden && parts(document).length) soon(); });
}

document.addEventListener("submit", (event) => {
  for (const button of event.target.querySelectorAll("button")) button.disabled = true;
});
