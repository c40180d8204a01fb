(async () => {
  const r = await call("plugins");
  if (!r.ok) return show("list", problem(r));
  show("list", ...r.body.plugins.map((p) => el("article", { class: "panel card" }, el("h3", {}, p.name), el("p", {}, p.description),
    el("div", {}, ...p.hooks.map((h) => el("span", { class: "tag" }, h)).flatMap((e) => [e, " "])),
    el("div", { class: "meta" }, el("span", {}, p.category), el("span", {}, "version " + p.version), p.status ? el("span", { class: p.status === "active" ? "good" : "bad" }, p.status) : null))));
  $("status").textContent = r.body.count ? r.body.discovery : "No plugins are loaded.";
})();
