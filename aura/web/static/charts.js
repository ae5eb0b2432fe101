// Charts: draws the data at the URL in data-chart with uPlot, in the colours of the page.
(() => {
  "use strict";

  const COLOURS = ["--accent", "--warn", "--good", "--bad", "--soft"];
  const drawn = new Map();

  function colour(name) {
    const probe = document.createElement("i");
    probe.style.color = `var(${name})`;
    document.body.append(probe);
    const value = getComputedStyle(probe).color;
    probe.remove();
    return value;
  }

  function draw(element, data) {
    const old = drawn.get(element);
    if (old) old.destroy();
    element.replaceChildren();
    const shown = (value) => value !== null && (value !== 0 || !element.dataset.empty);
    if (!data.series.some((each) => each.values.some(shown))) {
      const text = document.createElement("p");
      text.className = "soft";
      text.textContent = element.dataset.empty || "No data yet: the scheduler records a point every minute.";
      element.append(text);
      drawn.delete(element);
      return;
    }
    const axis = { stroke: colour("--soft"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line") } };
    const time = (seconds) => new Date(seconds * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hour12: false });
    const series = data.series.map((each, place) => ({
      label: each.name,
      stroke: colour(COLOURS[place % COLOURS.length]),
      width: 2,
      spanGaps: true,
      points: { show: data.at.length < 3 },
      value: (_, value) => (value == null ? "–" : `${value >= 100 ? value.toFixed(0) : value.toPrecision(3)}${data.unit}`),
    }));
    drawn.set(element, new uPlot({
      width: element.clientWidth,
      height: 165,
      cursor: { y: false },
      legend: { live: false },
      scales: { y: { range: (_, low, high) => [0, (high > 0 ? high * 1.1 : 1)] } },
      axes: [{ ...axis, values: (_, values) => values.map(time) }, { ...axis, size: 56, space: 28, values: (_, values) => values.map((value) => `${+value.toPrecision(4)}${data.unit}`) }],
      series: [{}, ...series],
    }, [data.at, ...data.series.map((each) => each.values)], element));
  }

  async function load(element) {
    const response = await fetch(element.dataset.chart, { headers: { Accept: "application/json" } });
    if (response.ok) draw(element, await response.json());
  }

  function loadAll() {
    for (const element of document.querySelectorAll("[data-chart]")) load(element);
  }

  document.addEventListener("DOMContentLoaded", loadAll);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", loadAll);
  addEventListener("resize", () => {
    for (const [element, plot] of drawn) plot.setSize({ width: element.clientWidth, height: 165 });
  });
  setInterval(() => { if (!document.hidden) loadAll(); }, 60000);
})();
