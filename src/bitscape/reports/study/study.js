// Sorting tables and pointing at marks. The page says everything without it.
"use strict";

for (const table of document.querySelectorAll("table")) {
  table.classList.add("sortable");
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    head.tabIndex = 0;
    const sort = () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const body = table.tBodies[0];
      const key = (row) => {
        const cell = row.cells[column];
        const text = cell.dataset.value ?? cell.textContent.trim();
        const number = Number(text);
        return text !== "" && Number.isFinite(number) ? number : text;
      };
      const order = (a, b) => {
        const [x, y] = [key(a), key(b)];
        const numeric = typeof x === "number" && typeof y === "number";
        return (up ? 1 : -1) * (numeric ? x - y : String(x).localeCompare(String(y)));
      };
      body.append(...[...body.rows].sort(order));
    };
    head.addEventListener("click", sort);
    head.addEventListener("keydown", (event) => { if (event.key === "Enter") sort(); });
  });
}

const tip = document.createElement("div");
tip.id = "tip";
tip.hidden = true;
document.body.append(tip);

const place = (event) => {
  const [x, y] = [event.clientX + 14, event.clientY + 14];
  tip.style.left = Math.min(x, innerWidth - tip.offsetWidth - 8) + "px";
  tip.style.top = (y + tip.offsetHeight > innerHeight ? event.clientY - tip.offsetHeight - 10 : y) + "px";
};

for (const title of document.querySelectorAll("svg g > title")) {
  const mark = title.parentElement;
  const text = title.textContent;
  const setting = mark.id.match(/-s(\d+)-(?:line|p\d+)$/)?.[1];
  const rows = mark.closest("section").querySelectorAll(`tr[data-setting="${setting}"]`);
  title.remove();
  mark.setAttribute("aria-label", text);
  const light = (on) => {
    mark.classList.toggle("hot", on);
    rows.forEach((row) => row.classList.toggle("hot", on));
    tip.hidden = !on;
  };
  mark.addEventListener("pointerenter", (event) => { tip.textContent = text; light(true); place(event); });
  mark.addEventListener("pointermove", place);
  mark.addEventListener("pointerleave", () => light(false));
}
