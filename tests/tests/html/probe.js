// What a page tells of itself, in the units of its drawings.
(() => {
  const all = (what) => [...document.querySelectorAll(what)];
  const charts = {};
  for (const figure of all("figure")) {
    const svg = figure.querySelector("svg");
    const [,, width, height] = svg.getAttribute("viewBox").split(" ").map(Number);
    const outside = [...svg.querySelectorAll("text, rect, line, polyline, circle")].filter((shape) => {
      const box = shape.getBBox();
      return box.x < -0.5 || box.y < -0.5 || box.x + box.width > width + 0.5 || box.y + box.height > height + 0.5;
    });
    charts[figure.parentElement.id] = {
      bars: svg.querySelectorAll("rect.bar").length,
      shown: svg.getBoundingClientRect().width > 0,
      described: svg.getAttribute("aria-labelledby").split(" ").every((id) => svg.querySelector("#" + id).textContent.length > 5),
      table: figure.parentElement.querySelectorAll("table tbody tr").length,
      outside: outside.map((shape) => shape.outerHTML),
      colours: [...new Set([...svg.querySelectorAll("rect.bar")].map((bar) => getComputedStyle(bar).fill))],
    };
  }
  return {
    title: document.title,
    ids: all("main > [id]").map((element) => element.id),
    repeated: all("[id]").map((element) => element.id).filter((id, at, ids) => ids.indexOf(id) !== at),
    active: all("script, link, img, iframe, object, embed, form, a, base, audio, video, style ~ style").map((it) => it.outerHTML),
    handlers: all("*").flatMap((it) => it.getAttributeNames()).filter((name) => name.startsWith("on") || name === "style" || name === "href" || name === "src"),
    wide: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    heads: all("th").every((head) => head.scope === "col") && all("table").every((table) => table.caption.textContent.length > 3),
    charts,
    raw: document.querySelector("#raw pre").textContent,
    text: document.body.innerText,
  };
})()
