// What makes the dashboard live: a stream says that something happened, and the page asks for itself anew.
// Without this file every page reads as well, and every form works.
(() => {
  "use strict";

  const QUIET = 800; // milliseconds between two refreshes at the least
  let source = null;
  let timer = null;

  function show(state, words) {
    const mark = document.querySelector("[data-live-state]");
    if (!mark) return;
    mark.dataset.liveState = state;
    mark.querySelector("[data-live-text]").textContent = words;
  }

  function writing() {
    const active = document.activeElement;
    if (active && active.closest("main") && active.matches("input, textarea, select")) return true;
    return document.querySelector("main details[open] form") !== null || String(getSelection()).length > 0;
  }

  function refresh() {
    if (timer) return;
    timer = setTimeout(() => {
      timer = null;
      if (document.hidden || writing()) return;
      document.body.dispatchEvent(new CustomEvent("happened"));
    }, QUIET);
  }

  function listen() {
    if (source || !document.querySelector("main[data-live]")) return;
    source = new EventSource("/api/v1/events");
    source.addEventListener("open", () => {
      show("on", "live");
      refresh(); // what happened before the stream was open
    });
    source.addEventListener("happened", refresh);
    source.addEventListener("error", () => show("lost", "connection lost"));
  }

  function rest() {
    if (source) source.close();
    source = null;
    show("off", "paused");
  }

  document.addEventListener("visibilitychange", () => {
    if (document.hidden) return rest();
    listen();
    refresh();
  });

  // Keys: / searches, g and a letter goes to a page, a digit presses the button that shows it.
  let going = false;
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.matches("input, textarea, select")) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    if (going) {
      going = false;
      const link = document.querySelector(`nav a[data-key="${CSS.escape(event.key)}"]`);
      if (link) link.click();
      return;
    }
    if (event.key === "g") {
      going = true;
      setTimeout(() => { going = false; }, 1500);
    } else if (event.key === "/") {
      event.preventDefault();
      document.getElementById("find").focus();
    } else {
      const button = document.querySelector(`main button[data-press="${CSS.escape(event.key)}"]`);
      if (button) { event.preventDefault(); button.click(); }
    }
  });

  document.addEventListener("submit", (event) => {
    const question = event.submitter && event.submitter.dataset.ask;
    if (question && !confirm(question)) event.preventDefault();
  });

  document.addEventListener("DOMContentLoaded", listen);
})();
