"use strict";
/* What a reader can do with the page. All of it stays readable without: controls are made here, not in the HTML. */

const make = (tag, properties = {}, ...children) => {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
};

/* Theme: that of the system until the reader chooses. Nothing is stored. */
function addThemeButton() {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const root = document.documentElement;
  const isDark = () => (root.dataset.theme ?? (system.matches ? "dark" : "light")) === "dark";
  const button = make("button", { type: "button", className: "theme" });
  const show = () => { button.textContent = isDark() ? "Light theme" : "Dark theme"; };
  button.addEventListener("click", () => { root.dataset.theme = isDark() ? "light" : "dark"; show(); });
  system.addEventListener("change", show);
  document.querySelector("nav .page").append(button);
  show();
}

/* Tables: ascending, descending, as it was. What is not a number stays last. */
function makeSortable(table) {
  const body = table.tBodies[0];
  const original = [...body.rows];
  const headings = [...table.querySelectorAll("th[data-column]")];
  const compareText = new Intl.Collator("en", { numeric: true }).compare;
  const keyOf = (row, column) => {
    const cell = row.cells[column];
    const value = cell.dataset.value;
    return value === undefined ? cell.textContent.trim() : value === "" ? null : Number(value);
  };
  const sort = (heading, direction) => {
    const column = Number(heading.dataset.column);
    const sign = direction === "descending" ? -1 : 1;
    const rows = [...original];
    if (direction !== "none") {
      rows.sort((one, other) => {
        const [a, b] = [keyOf(one, column), keyOf(other, column)];
        if (a === null || b === null) return (a === null) - (b === null);
        return sign * (typeof a === "number" ? a - b : compareText(a, b));
      });
    }
    for (const other of headings) other.setAttribute("aria-sort", other === heading ? direction : "none");
    table.classList.toggle("sorted", direction !== "none");
    body.append(...rows);
  };
  const following = { none: "ascending", ascending: "descending", descending: "none" };
  for (const heading of headings) {
    const button = make("button", { type: "button" }, ...heading.childNodes);
    button.addEventListener("click", () => sort(heading, following[heading.getAttribute("aria-sort")]));
    heading.setAttribute("aria-sort", "none");
    heading.append(button);
  }
}

/* Values of a chart beside the pointer, at once: the browser's own titles come late, and never on a touch screen. */
function addValues() {
  const tip = make("div", { className: "tip", hidden: true });
  document.body.append(tip);
  for (const title of document.querySelectorAll("svg.chart .zone > title")) {
    title.parentNode.dataset.tip = title.textContent;
    title.remove();
  }
  const show = (event) => {
    const text = event.target.closest?.("[data-tip]")?.dataset.tip;
    tip.hidden = !text;
    if (!text) return;
    tip.textContent = text;
    const { clientWidth, clientHeight } = document.documentElement;
    const [x, y] = [event.clientX + 14, event.clientY + 16];
    tip.style.left = `${Math.max(4, Math.min(x, clientWidth - tip.offsetWidth - 8))}px`;
    tip.style.top = `${y + tip.offsetHeight > clientHeight - 4 ? event.clientY - tip.offsetHeight - 10 : y}px`;
  };
  document.addEventListener("pointermove", show);
  document.addEventListener("pointerdown", show);
  document.addEventListener("scroll", () => { tip.hidden = true; }, { passive: true });
}

/* Lightbox: the pictures of a section, one after the other. */
function addLightbox() {
  const image = make("img", { alt: "" });
  const caption = make("p");
  const control = (text, label, act) => {
    const button = make("button", { type: "button", textContent: text });
    button.setAttribute("aria-label", label);
    button.addEventListener("click", act);
    return button;
  };
  const dialog = make("dialog", { className: "lightbox" });
  let pictures = [];
  let place = 0;
  let opener = null;
  const show = (next) => {
    place = (next + pictures.length) % pictures.length;
    const picture = pictures[place];
    image.src = picture.src;
    image.alt = picture.alt;
    caption.textContent = `${picture.alt} (${place + 1} of ${pictures.length})`;
    image.classList.toggle("drawn", picture.closest("figure") !== null);
    const room = Math.min((innerWidth - 64) / picture.naturalWidth, (innerHeight - 150) / picture.naturalHeight);
    // Small images grow by whole pixels as long as they can, so that each of theirs stays a square.
    const scale = room >= 1 ? Math.min(Math.floor(room), 6) : room;
    image.width = Math.max(1, Math.round(picture.naturalWidth * scale));
  };
  const previous = control("←", "Previous picture", () => show(place - 1));
  const following = control("→", "Next picture", () => show(place + 1));
  const close = control("×", "Close", () => dialog.close());
  dialog.setAttribute("aria-label", "Picture, enlarged");
  dialog.append(make("div", { className: "stage" }, image), make("div", { className: "bar" }, caption, previous, following, close));
  document.body.append(dialog);
  dialog.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step) { event.preventDefault(); show(place + step); }
  });
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  dialog.addEventListener("close", () => opener?.focus());
  for (const picture of document.querySelectorAll("img.zoomable")) {
    const button = make("button", { type: "button", className: "zoom" });
    button.setAttribute("aria-label", `Enlarge: ${picture.alt}`);
    picture.replaceWith(button);
    button.append(picture);
    button.addEventListener("click", () => {
      opener = button;
      pictures = [...button.closest("section").querySelectorAll("img.zoomable")];
      for (const control of [previous, following]) control.hidden = pictures.length < 2;
      dialog.showModal();
      show(pictures.indexOf(picture));
      close.focus();
    });
  }
}

/* What is wider than the page scrolls by keyboard too. */
function letScroll() {
  for (const box of document.querySelectorAll(".scroll")) {
    if (box.scrollWidth > box.clientWidth + 1) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  }
}

/* On paper nothing can be unfolded. */
function unfoldForPrint() {
  let folded = [];
  addEventListener("beforeprint", () => {
    folded = [...document.querySelectorAll("details:not([open])")];
    for (const details of folded) details.open = true;
  });
  addEventListener("afterprint", () => { for (const details of folded) details.open = false; });
}

addThemeButton();
document.querySelectorAll("table.sortable").forEach(makeSortable);
addValues();
addLightbox();
letScroll();
addEventListener("resize", letScroll);
document.querySelectorAll("details").forEach((details) => details.addEventListener("toggle", letScroll));
unfoldForPrint();
