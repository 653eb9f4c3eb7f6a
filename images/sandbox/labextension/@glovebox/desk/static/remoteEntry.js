// The way from JupyterLab to the review desk. Written by hand as the container that JupyterLab loads, so that nothing has to be
// built: it takes the tokens and widgets that JupyterLab shares, and asks the notebook server for nothing.
//
// It saves what is open, remembers the SQL of the cell one is in and where one came from, and goes to the desk's form in the same
// tab: a tab that this page opened would keep its bonds (no downloads), and the desk is where one downloads.
"use strict";
(() => {
  const NAME = "@glovebox/desk";
  const COMMAND = "glovebox:ask";
  const WORDS = {
    en: ["Ask for a release", "Take a result out: the review desk's form, with this cell's SQL", "Take results out"],
    zh: ["申请放行", "带出结果:打开审核台的申请表,并带上本单元格的 SQL", "带出结果"],
  };
  const ENDED = {
    en: [
      "Your session has ended",
      "The sandbox behind this page is gone. What was saved is kept; what was not is still shown here. The next page says why.",
      "Stay here",
      "See why",
    ],
    zh: ["会话已结束", "本页背后的沙箱已不存在。已保存的内容保留着,未保存的仍显示在此。下一页说明原因。", "留在本页", "查看原因"],
  };
  // What the session door warns of, and how it is said in Chinese.
  const SAID_IN = {
    en: [],
    zh: [
      [/^The quota of (.+) for (.+) is nearly used up\.$/, (what, of) => `${of} 的配额(${QUOTAS[what] || what})即将用完。`],
      [/^The grant of (.+) ends soon\.$/, (of) => `${of} 的授权即将到期。请保存您的工作。`],
      [/^Project (.+) ends soon\.$/, (name) => `项目 ${name} 即将结束。请保存您的工作。`],
    ],
  };
  const QUOTAS = {
    "processor time": "处理器时间",
    cells: "单元格",
    "bytes shown": "显示字节",
    sessions: "会话",
    requests: "申请",
    releases: "放行",
    "released figures": "放行数字",
    "released bytes": "放行字节",
  };
  const EVERY = 20000; // milliseconds between two looks at what is warned of
  const GONE = [404, 424, 503]; // what the hub answers in the place of a sandbox that does not run
  const ICON =
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" width="16"><g class="jp-icon3" fill="none" stroke="#616161" ' +
    'stroke-width="2" stroke-linecap="round" stroke-linejoin="round"><path d="M5 11v8h14v-8"/><path d="M12 15V4"/><path d="M8 8l4-4 4 4"/></g></svg>';
  const QUOTED = /("""|'''|"|')\s*((?:SELECT|WITH)\b[\s\S]*?)\1/i;
  let shared;

  const take = async (name) => {
    const versions = Object.values(shared[name] || {});
    if (!versions.length) throw new Error(`${name} is not shared`);
    return (await versions[0].get())();
  };

  /** The SQL in a cell's text: the first quoted SELECT, or the text itself. */
  const sqlOf = (text) => {
    const found = QUOTED.exec(text);
    return found ? found[2].trim() : /^\s*(SELECT|WITH)\b/i.test(text) ? text.trim() : "";
  };

  /** Says that the session is over, in the place of JupyterLab's "check your network connection". */
  const watchTheEnd = (app, { Dialog, showDialog }, base, words) => {
    let said = false;
    const look = async () => {
      if (said) return;
      said = true;
      const answer = await fetch(`${base}api/status?${Date.now()}`).catch(() => undefined);
      if (!answer || !GONE.includes(answer.status)) return void (said = false);
      await new Promise((done) => setTimeout(done, 500)); // JupyterLab's own dialog is up now
      Dialog.flush();
      const [title, body, stay, why] = words;
      const buttons = [Dialog.cancelButton({ label: stay }), Dialog.okButton({ label: why })];
      const chosen = await showDialog({ title, body, buttons });
      if (chosen.button.accept) location.assign(base.replace(/user\/.*$/, "hub/home"));
    };
    app.serviceManager.connectionFailure.connect(look);
  };

  const translated = (text, language) => {
    for (const [pattern, words] of SAID_IN[language]) {
      const found = pattern.exec(text);
      if (found) return words(...found.slice(1));
    }
    return text;
  };

  /** Shows what will soon be over once, until it is read: the door says it beside a cell too, but who reads runs none. */
  const watchTheWarnings = ({ Notification }, base, language) => {
    const shown = new Set();
    const look = async () => {
      const answer = await fetch(`${base}glovebox/notices`).catch(() => undefined);
      const said = answer && answer.ok ? await answer.json().catch(() => ({})) : {};
      for (const text of said.warnings || []) {
        if (shown.has(text)) continue;
        shown.add(text);
        Notification.warning(translated(text, language), { autoClose: false });
      }
    };
    void look();
    setInterval(look, EVERY);
  };

  const plugin = (apputils, { ILauncher }, { INotebookTracker }, { ITranslator }, { LabIcon, ToolbarButton }, { PageConfig }) => ({
    id: `${NAME}:plugin`,
    autoStart: true,
    optional: [ILauncher, apputils.ICommandPalette, INotebookTracker, ITranslator],
    activate: (app, launcher, palette, notebooks, translator) => {
      const languages = [(translator && translator.languageCode) || "", navigator.language];
      const language = languages.some((one) => one.startsWith("zh")) ? "zh" : "en";
      const [label, caption, category] = WORDS[language];
      watchTheEnd(app, apputils, PageConfig.getBaseUrl(), ENDED[language]);
      watchTheWarnings(apputils, PageConfig.getBaseUrl(), language);
      const icon = new LabIcon({ name: "glovebox:out", svgstr: ICON });
      const desk = PageConfig.getBaseUrl().replace(/user\/.*$/, "") + "services/gate/new";

      const go = async () => {
        const cell = notebooks && notebooks.activeCell;
        const sql = cell ? sqlOf(cell.model.sharedModel.getSource()) : "";
        await app.commands.execute("docmanager:save-all").catch(() => undefined);
        try {
          sessionStorage.setItem("glovebox-lab", location.pathname);
          if (sql) sessionStorage.setItem("glovebox-draft", JSON.stringify({ sql }));
        } catch {
          // a browser without storage: the form is empty, nothing else is lost
        }
        location.assign(desk);
      };
      app.commands.addCommand(COMMAND, { label, caption, icon, execute: go });
      if (launcher) launcher.add({ command: COMMAND, category, rank: 0 });
      if (palette) palette.addItem({ command: COMMAND, category });
      app.docRegistry.addWidgetExtension("Notebook", {
        createNew: (panel) => {
          const button = new ToolbarButton({ label, tooltip: caption, icon, onClick: go, className: "glovebox-ask" });
          panel.toolbar.insertItem(10, "gloveboxAsk", button);
          return button;
        },
      });
    },
  });

  const container = {
    init: (scope) => {
      shared = scope;
    },
    get: async () => {
      const packages = ["apputils", "launcher", "notebook", "translation", "ui-components", "coreutils"];
      const taken = await Promise.all(packages.map((one) => take(`@jupyterlab/${one}`)));
      const made = { __esModule: true, default: plugin(...taken) };
      return () => made;
    },
  };
  window._JUPYTERLAB = window._JUPYTERLAB || {};
  window._JUPYTERLAB[NAME] = container;
})();
