// Pictures as SVG, made element by element: nothing that came from a market is ever parsed as markup.

const NAMESPACE = "http://www.w3.org/2000/svg";

export function shape(name, attributes, text) {
  const made = document.createElementNS(NAMESPACE, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  if (text !== undefined) made.textContent = text;
  return made;
}

function canvas(width, height, label) {
  return shape("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label });
}

// What a market is doing, as one of five looks; the shape of the dot says it too, for who sees no colours.
export function look(market) {
  if (market.convicted || market.part === "dropped out") return "bad";
  if (!market.connected) return market.finished ? "good" : "idle";
  if (market.part === "in the sum" || market.finished) return "good";
  return market.part === "not asked" ? "idle" : "now";
}

export function federationMap(markets) {
  const [width, height] = [420, 320];
  const drawing = canvas(width, height, "The coordinator and the markets around it");
  const rings = markets.length > 24 ? 2 : 1;
  markets.forEach((market, index) => {
    const angle = (2 * Math.PI * index) / markets.length - Math.PI / 2;
    const reach = rings === 2 && index % 2 ? 0.68 : 1;
    const x = width / 2 + Math.cos(angle) * 150 * reach;
    const y = height / 2 + Math.sin(angle) * 118 * reach;
    const link = { x1: width / 2, y1: height / 2, x2: x, y2: y, class: market.connected ? "link on" : "link" };
    if (!market.connected) link["stroke-dasharray"] = "4 5";
    drawing.prepend(shape("line", link));
    const dot = shape("circle", { cx: x, cy: y, r: markets.length > 24 ? 6 : 11, class: `dot ${look(market)}` });
    dot.append(shape("title", {}, `${market.name}: ${market.connected ? "connected" : "away"}, ${market.part}`));
    drawing.append(dot);
    if (markets.length <= 60) {
      drawing.append(shape("text", { x, y: y + (Math.sin(angle) < -0.1 ? -19 : 27), "text-anchor": "middle" }, market.name));
    }
  });
  drawing.append(shape("circle", { cx: width / 2, cy: height / 2, r: 42, class: "hub" }));
  drawing.append(
    shape("text", { x: width / 2, y: height / 2 + 4, "text-anchor": "middle", class: "hub-text" }, "coordinator"),
  );
  return drawing;
}

export function curve(title, points, kind) {
  const [width, height, left, top, right, bottom] = [420, 150, 46, 22, 12, 24];
  const drawing = canvas(width, height, `${title} by round`);
  const values = points.map((point) => point.value);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const [first, last] = [points[0].round, points[points.length - 1].round];
  const across = (round) => left + ((width - left - right) * (round - first)) / Math.max(1, last - first);
  const down = (value) => height - bottom - ((height - top - bottom) * (value - low)) / (high - low || 1);
  drawing.append(shape("text", { x: left, y: 12 }, title));
  for (const value of new Set([low, high])) {
    drawing.append(shape("line", { x1: left, x2: width - right, y1: down(value), y2: down(value), class: "axis" }));
    const mark = { x: left - 6, y: down(value) + 4, "text-anchor": "end", class: "soft" };
    drawing.append(shape("text", mark, value.toPrecision(3)));
  }
  for (const round of new Set([first, last])) {
    const anchor = round === first ? "start" : "end";
    drawing.append(shape("text", { x: across(round), y: height - 6, "text-anchor": anchor, class: "soft" }, round));
  }
  const path = points.map((point) => `${across(point.round)},${down(point.value)}`).join(" ");
  drawing.append(shape("polyline", { points: path, class: kind }));
  for (const point of points.slice(points.length > 60 ? -1 : 0)) {
    const dot = { cx: across(point.round), cy: down(point.value), r: 3, class: `${kind}-dot` };
    drawing.append(shape("circle", dot));
  }
  return drawing;
}
