// Shows times in the reader's zone, keeps the live part of a page current while somebody looks, and asks before a change.
"use strict";

(() => {
  const part = document.getElementById("live");
  // Null if nothing on the page is kept current.
  const live = part && part.innerHTML.trim() ? part : null;
  const written = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
  const short = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });

  function showTimes(part) {
    const today = new Date().toDateString();
    for (const element of part.querySelectorAll("time[datetime]")) {
      const time = new Date(element.dateTime);
      if (Number.isNaN(time.getTime())) continue;
      element.textContent = (time.toDateString() === today ? short : written).format(time);
    }
  }

  function replace(html) {
    const open = [...live.querySelectorAll("details[id][open]")].map((each) => each.id);
    const focused = document.activeElement && live.contains(document.activeElement) ? document.activeElement.id : "";
    const scrolls = [...live.querySelectorAll("[data-scroll][id]")].map((each) => [each.id, each.scrollTop, each.scrollLeft]);
    live.innerHTML = html;
    showTimes(live);
    for (const id of open) document.getElementById(id)?.setAttribute("open", "");
    for (const [id, top, left] of scrolls) {
      const element = document.getElementById(id);
      if (element) [element.scrollTop, element.scrollLeft] = [top, left];
    }
    if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
  }

  // A person is writing into a form, or holds a selection: the page waits.
  function isBusy() {
    const field = document.activeElement;
    return (field && live.contains(field) && field.matches("input:not([type=hidden]), select, textarea"))
      || (document.getSelection() && !document.getSelection().isCollapsed);
  }

  let shown = "";
  let timer = 0;

  async function refresh() {
    if (document.hidden) return;
    let seconds = Number(live.dataset.seconds);
    try {
      const address = new URL(window.location.href);
      address.searchParams.set("live", "1");
      const reply = await fetch(address, { credentials: "same-origin", cache: "no-cache" });
      if (reply.ok) {
        const part = await reply.json();
        seconds = part.seconds;
        if (part.html !== shown && !isBusy()) {
          replace(part.html);
          shown = part.html;
        }
        live.classList.remove("is-stale");
      } else {
        live.classList.add("is-stale");
      }
    } catch {
      live.classList.add("is-stale");
    }
    timer = window.setTimeout(refresh, seconds * 1000);
  }

  document.addEventListener("visibilitychange", () => {
    window.clearTimeout(timer);
    if (!document.hidden && live) refresh();
  });

  document.addEventListener("submit", (event) => {
    const question = event.target.dataset.question;
    if (question && !window.confirm(question)) event.preventDefault();
  });

  showTimes(document);
  if (live) timer = window.setTimeout(refresh, Number(live.dataset.seconds) * 1000);
})();
