// Small conveniences; every page works without them.
(function () {
  // One click is one submit: a second click on the same form does nothing.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if ("again" in form.dataset) return; // it downloads a file and leaves the page where it is
    if (form.dataset.sent) { event.preventDefault(); return; }
    form.dataset.sent = "1";
    setTimeout(() => { delete form.dataset.sent; }, 4000);
  });
  window.addEventListener("pageshow", () => {
    document.querySelectorAll("form[data-sent]").forEach((form) => { delete form.dataset.sent; });
  });

  // What cannot be undone is asked once more.
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-sure]");
    if (button && !window.confirm(button.dataset.sure)) event.preventDefault();
  });

  // Preferences send themselves.
  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-autosubmit]")) event.target.form.requestSubmit();
  });

  // Keyboard: keys are on the elements they press, as data-key.
  const typing = (el) => el && (el.matches("input, textarea, select") || el.isContentEditable);
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape" && typing(document.activeElement)) { document.activeElement.blur(); return; }
    if (typing(document.activeElement)) return;
    if (event.key === "j" || event.key === "k") {
      const rows = [...document.querySelectorAll("[data-row]")];
      if (!rows.length) return;
      const at = rows.indexOf(document.activeElement.closest("[data-row]"));
      const next = Math.max(0, Math.min(rows.length - 1, at + (event.key === "j" ? 1 : -1)));
      (rows[next].querySelector("a") || rows[next]).focus();
      event.preventDefault();
      return;
    }
    const target = document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
    if (!target || target.disabled) return;
    event.preventDefault();
    if (target.matches("input[type=radio]")) { target.checked = true; target.dispatchEvent(new Event("change", { bubbles: true })); target.focus(); }
    else if (target.matches("textarea, input, select")) target.focus();
    else if (target.matches("dialog")) target.showModal();
    else target.click();
  });

  // What moves by itself is shown by itself, unless somebody is writing.
  document.addEventListener("htmx:afterSwap", () => {
    const news = document.querySelector("#live [data-reload]");
    if (news && ![...document.querySelectorAll("textarea")].some((t) => t.value.trim())) location.reload();
  });

  // A draft that JupyterLab's button left for the form: plain text into empty fields, once.
  const left = sessionStorage.getItem("glovebox-draft");
  if (left && document.getElementById("ask")) {
    sessionStorage.removeItem("glovebox-draft");
    try {
      const draft = JSON.parse(left);
      document.querySelectorAll("[data-draft]").forEach((field) => {
        const text = draft[field.dataset.draft];
        if (typeof text === "string" && !field.value) field.value = text.slice(0, field.maxLength);
      });
    } catch { /* not ours */ }
  }
  const lab = sessionStorage.getItem("glovebox-lab");
  const back = document.getElementById("back-to-lab");
  if (back && lab && /^\/[^/\\]/.test(lab)) { back.href = lab; back.classList.remove("d-none"); }

  // Where every output is asked about or rejected, nothing is left to approve: the worst of them is chosen for the whole.
  document.addEventListener("change", (event) => {
    if (!event.target.matches("[data-item-verdict]")) return;
    const said = [...document.querySelectorAll("[data-item-verdict]:checked")].map((one) => one.value);
    if (!said.every((one) => one === "reject" || one === "return")) return;
    const worst = said.includes("return") ? "return" : "reject";
    const whole = document.querySelector(`#decide-form input[name=verdict][value=${worst}]`);
    if (whole && !whole.disabled) whole.checked = true;
  });

  // Files go to the intake folder one after the other, each the body of its own request; what became of it is said beside its name.
  const up = document.getElementById("upload");
  const put = (file, line) => new Promise((done) => {
    const said = line.appendChild(document.createElement("span"));
    const say = (text, good) => { said.textContent = ` ${text}`; said.className = good ? "text-secondary small text-break" : "text-danger"; done(good); };
    if (file.size > Number(up.dataset.limit)) { say(up.dataset.large, false); return; }
    const bar = line.insertBefore(document.createElement("progress"), said);
    bar.className = "job-bar";
    bar.setAttribute("aria-label", file.name);
    bar.max = 1;
    bar.value = 0;
    const ask = new XMLHttpRequest();
    ask.open("POST", `${up.getAttribute("action")}?name=${encodeURIComponent(file.name)}`);
    ask.setRequestHeader("content-type", "application/octet-stream");
    ask.setRequestHeader("x-csrf-token", up.elements.csrf.value);
    ask.upload.addEventListener("progress", (event) => { bar.value = event.total ? event.loaded / event.total : 1; });
    ask.addEventListener("loadend", () => {
      bar.remove();
      let answer = {};
      try { answer = JSON.parse(ask.responseText); } catch { /* the connection's end, or a proxy's page */ }
      if (ask.status === 201) say(`${up.dataset.taken} SHA-256 ${answer.sha256}`, true);
      else say(answer.what ? `${answer.what} ${answer.why} ${answer.do}` : up.dataset.broken, false);
    });
    ask.send(file);
  });
  if (up) {
    up.hidden = false;
    up.addEventListener("submit", async (event) => {
      event.preventDefault();
      const list = document.getElementById("uploaded"), field = document.getElementById("upload-files"), button = up.querySelector("button");
      button.disabled = true;
      list.replaceChildren();
      let taken = 0;
      for (const file of field.files) {
        const line = list.appendChild(document.createElement("li"));
        line.appendChild(document.createElement("strong")).textContent = file.name;
        if (await put(file, line)) taken += 1;
      }
      button.disabled = false;
      field.value = "";
      if (taken) window.htmx.ajax("GET", location.pathname, { target: "#folder", select: "#folder", swap: "outerHTML" });
    });
  }

  // Dialogs close on their own button.
  document.addEventListener("click", (event) => {
    const opener = event.target.closest("[data-open]");
    if (opener) document.getElementById(opener.dataset.open).showModal();
    const closer = event.target.closest("[data-close]");
    if (closer) closer.closest("dialog").close();
  });
})();
