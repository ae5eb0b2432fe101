// Charts: each element with data-chart names where its points are; they are drawn by uPlot in the colours of the page.
(() => {
  "use strict";

  const COLOURS = ["--accent", "--warn", "--good", "--bad", "--soft"];
  const drawn = new Map();

  function colour(name) {
    const probe = document.createElement("i");
    probe.style.color = `var(${name})`;
    document.body.append(probe);
    const found = getComputedStyle(probe).color;
    probe.remove();
    return found;
  }

  function draw(element, said) {
    const old = drawn.get(element);
    if (old) old.destroy();
    element.replaceChildren();
    const worth = (value) => value !== null && (value !== 0 || !element.dataset.empty);
    if (!said.series.some((each) => each.values.some(worth))) {
      const words = document.createElement("p");
      words.className = "soft";
      words.textContent = element.dataset.empty || "No figures yet: the clock writes one every minute.";
      element.append(words);
      drawn.delete(element);
      return;
    }
    const axis = { stroke: colour("--soft"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line") } };
    const clock = (seconds) => new Date(seconds * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hour12: false });
    const series = said.series.map((each, place) => ({
      label: each.name,
      stroke: colour(COLOURS[place % COLOURS.length]),
      width: 2,
      spanGaps: true,
      points: { show: said.at.length < 3 },
      value: (_, value) => (value == null ? "–" : `${value >= 100 ? value.toFixed(0) : value.toPrecision(3)}${said.unit}`),
    }));
    drawn.set(element, new uPlot({
      width: element.clientWidth,
      height: 165,
      cursor: { y: false },
      legend: { live: false },
      scales: { y: { range: (_, low, high) => [0, (high > 0 ? high * 1.1 : 1)] } },
      axes: [{ ...axis, values: (_, values) => values.map(clock) }, { ...axis, size: 56, space: 28, values: (_, values) => values.map((value) => `${+value.toPrecision(4)}${said.unit}`) }],
      series: [{}, ...series],
    }, [said.at, ...said.series.map((each) => each.values)], element));
  }

  async function load(element) {
    const answer = await fetch(element.dataset.chart, { headers: { Accept: "application/json" } });
    if (answer.ok) draw(element, await answer.json());
  }

  function all() {
    for (const element of document.querySelectorAll("[data-chart]")) load(element);
  }

  document.addEventListener("DOMContentLoaded", all);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", all);
  addEventListener("resize", () => {
    for (const [element, plot] of drawn) plot.setSize({ width: element.clientWidth, height: 165 });
  });
  setInterval(() => { if (!document.hidden) all(); }, 60000);
})();
