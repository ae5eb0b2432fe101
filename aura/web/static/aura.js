// Live updates: an event stream reports changes, and htmx loads the page again. Also keyboard shortcuts and confirmations.
// The pages work without this file.
(() => {
  "use strict";

  const MIN_INTERVAL = 800; // milliseconds between two refreshes
  let source = null;
  let timer = null;

  function showState(state, text) {
    const badge = document.querySelector("[data-live-state]");
    if (!badge) return;
    badge.dataset.liveState = state;
    badge.querySelector("[data-live-text]").textContent = text;
  }

  function editing() {
    const active = document.activeElement;
    if (active && active.closest("main") && active.matches("input, textarea, select")) return true;
    const written = [...document.querySelectorAll("main textarea")].some((each) => each.value !== each.defaultValue);
    const opened = document.querySelector("main details[open]:not([data-open]) form") !== null;
    return written || opened || String(getSelection()).length > 0;
  }

  function refresh() {
    if (timer) return;
    timer = setTimeout(() => {
      timer = null;
      if (document.hidden || editing()) return;
      document.body.dispatchEvent(new CustomEvent("changed"));
    }, MIN_INTERVAL);
  }

  function connect() {
    if (source || !document.querySelector("main[data-live]")) return;
    source = new EventSource("/api/v1/events");
    source.addEventListener("open", () => {
      showState("on", "live");
      refresh(); // changes before the stream was open
    });
    source.addEventListener("changed", refresh);
    source.addEventListener("error", () => showState("lost", "connection lost"));
  }

  function disconnect() {
    if (source) source.close();
    source = null;
    showState("off", "paused");
  }

  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return disconnect();
    connect();
    refresh();
  });

  // Shortcuts: / focuses the search, g and a letter opens a page, a key shown on a button presses it.
  let prefix = false;
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.matches("input, textarea, select")) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    if (prefix) {
      prefix = false;
      const link = document.querySelector(`nav a[data-key="${CSS.escape(event.key)}"]`);
      if (link) link.click();
      return;
    }
    if (event.key === "g") {
      prefix = true;
      setTimeout(() => { prefix = false; }, 1500);
    } else if (event.key === "/") {
      event.preventDefault();
      document.getElementById("find").focus();
    } else {
      const button = document.querySelector(`main button[data-press="${CSS.escape(event.key)}"]`);
      if (button) { event.preventDefault(); button.click(); }
    }
  });

  document.addEventListener("submit", (event) => {
    const question = event.submitter && event.submitter.dataset.confirm;
    if (question && !confirm(question)) event.preventDefault();
  });

  document.addEventListener("DOMContentLoaded", connect);
})();
